"""Tests of `tunesmith.tuning.gp`; the laws of samplers are tested in test_contracts."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Int, Space, When
from tunesmith.tuning.gp import GP, _scored
from tunesmith.tuning.protocols import History, Observation, Sampler, Trial
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.tpe import TPE

NUMBERS: Space = {f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(5)}
MIXED: Space = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.1),
    "kind": Field(Choice("a", "b", "c", "d"), "a"),
    **{f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(2)},
}


def bowl(config: Config) -> float:
    """The last two fields mean nothing."""
    return float(sum((config[f"x{n}"] - 0.3) ** 2 for n in range(3)))


def forked(config: Config) -> float:
    miss = {"a": 0.3, "b": 0.2, "c": 0.0, "d": 0.3}[config["kind"]]
    return float((math.log10(config["lr"]) + 2) ** 2 / 16 + miss + (config["x0"] - 0.3) ** 2)


def search(
    sampler: Sampler,
    space: Space,
    function: Callable[[Config], float],
    count: int,
    *,
    seed: int,
    horizon: int = 1,
) -> History:
    history = History(horizon=horizon)
    for number in range(count):
        config = sampler(space, history, seed=seed)
        history = history.started(config, until=1)
        if math.isfinite(value := function(config)):
            point = Observation(at=1, value=value)
            history = history.observed(number, (point,), seconds=1.0)
        else:
            history = history.failed(number, "It is too large.")
    return history


@pytest.mark.parametrize(("space", "function"), [(NUMBERS, bowl), (MIXED, forked)])
def test_it_finds_what_a_density_does_not(
    space: Space, function: Callable[[Config], float]
) -> None:
    ours, theirs = (
        [
            min(trial.best for trial in search(sampler, space, function, 40, seed=seed).trials)
            for seed in range(12)
        ]
        for sampler in (GP(), TPE())
    )
    assert np.log(ours).mean() < np.log(theirs).mean() - math.log(2)


def test_it_begins_at_random() -> None:
    ours = search(GP(), NUMBERS, bowl, 6, seed=3)
    assert ours == search(RandomSampler(), NUMBERS, bowl, 6, seed=3)


@pytest.mark.parametrize("horizon", [1, 25])
def test_what_failed_is_avoided(horizon: int) -> None:
    def fragile(config: Config) -> float:
        return math.inf if config["x0"] > 0.5 else -float(config["x0"])

    trials = search(GP(), NUMBERS, fragile, 60, seed=0, horizon=horizon).trials
    failed = [trial.failed is not None for trial in trials]
    assert sum(failed[:6]) >= 2
    assert min(trial.best for trial in trials) < -0.45
    # The best values lie at the edge of what fails, and nothing deep in it is tried.
    fell = [trial.config["x0"] for trial in trials[30:] if trial.failed]
    assert np.median(fell) < 0.6


def test_a_finite_space_is_tried_without_repeats() -> None:
    finite: Space = {
        "n": Field(Int(1, 4), 1),
        "kind": Field(Choice("a", "b", "c"), "a"),
        "m": Field(Int(0, 2), 0, When("kind", "b")),
    }

    def value(config: Config) -> float:
        return float((config["n"] - 2) ** 2 + (config["kind"] != "b") + config.get("m", 0))

    configs = [trial.config for trial in search(GP(), finite, value, 18, seed=0).trials[6:]]
    repeated = sum(config in configs[:place] for place, config in enumerate(configs))
    assert repeated <= 1  # a random draw knows nothing of what was tried


def test_equal_values_have_equal_scores_and_failures_the_highest() -> None:
    history = History(horizon=1)
    for number, value in enumerate([0.5, math.inf, 0.5, 0.2, math.inf, 0.5]):
        history = history.started({"x": number / 6}, until=1)
        point = Observation(at=1, value=value)
        if math.isfinite(value):
            history = history.observed(number, (point,), seconds=1.0)
        else:
            history = history.failed(number, "It is too large.")
    trials, z_N = _scored(history, np.random.default_rng(0))
    assert [round(6 * trial.config["x"]) for trial in trials] == [3, 0, 2, 5, 1, 4]
    assert z_N[0] < z_N[1] == z_N[2] == z_N[3] < z_N[4] == z_N[5]


def test_what_is_running_is_not_proposed_again() -> None:
    history = search(GP(), NUMBERS, bowl, 25, seed=1)
    # Not a random proposal, which lies anywhere.
    seed = next(s for s in range(99) if GP()(NUMBERS, history, seed=s)["x0"] < 0.5)
    first = GP()(NUMBERS, history, seed=seed)
    again = GP()(NUMBERS, history.started(first, until=1), seed=seed)
    assert math.dist(first.values(), again.values()) > 0.02


def test_what_trained_little_hides_nothing_that_trained_long() -> None:
    """First units call the left half better; whole trainings, the right half."""

    def trial(x: float, value: float, at: int) -> Trial:
        return Trial(config={"x": x}, curve=(Observation(at=at, value=value),), seconds=1.0)

    space = {"x": Field(Float(0.0, 1.0), 0.5)}
    whole = [trial(x, (x - 0.75) ** 2, 100) for x in np.linspace(0.01, 0.99, 12)]
    short = [trial(x, (x - 0.25) ** 2, 1) for x in np.linspace(0.02, 0.98, 12)]
    for first, second, place in ((100, 1, 0.75), (1, 100, 0.25)):
        trials = [replace(t, curve=(replace(t.curve[0], at=first),)) for t in whole]
        trials += [replace(t, curve=(replace(t.curve[0], at=second),)) for t in short]
        history = History(horizon=100, trials=tuple(trials))
        proposed = [GP()(space, history, seed=seed)["x"] for seed in range(20)]
        assert abs(np.median(proposed) - place) < 0.15
