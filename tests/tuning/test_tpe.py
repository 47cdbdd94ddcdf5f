"""Tests of `tunesmith.tuning.tpe`; the laws of samplers are tested in test_contracts."""

from collections.abc import Callable

import numpy as np
import pytest

from tunesmith.core.space import Choice, Config, Field, Float
from tunesmith.tuning.protocols import History, Observation, Sampler
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.tpe import TPE, _Density

SPACE = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.1),
    "kind": Field(Choice("a", "b", "c"), "a"),
    **{f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(3)},
}


def bowl(config: Config) -> float:
    miss = {"a": 0.3, "b": 0.0, "c": 0.3}[config["kind"]]
    far = sum((config[f"x{n}"] - 0.3) ** 2 for n in range(3))
    return float((np.log10(config["lr"]) + 2) ** 2 / 16 + miss + far)


def search(
    sampler: Sampler, function: Callable[[Config], float], count: int, *, seed: int
) -> list[float]:
    history = History(horizon=1)
    for number in range(count):
        config = sampler(SPACE, history, seed=seed)
        point = Observation(at=1, value=function(config))
        history = history.started(config, until=1).observed(number, (point,), seconds=1.0)
    return [trial.best for trial in history.trials]


def test_it_finds_what_random_draws_do_not() -> None:
    ours = [min(search(TPE(), bowl, 60, seed=seed)) for seed in range(8)]
    draws = [min(search(RandomSampler(), bowl, 60, seed=seed)) for seed in range(8)]
    assert np.median(ours) < 0.4 * np.median(draws)


def test_it_begins_at_random() -> None:
    assert search(TPE(), bowl, 10, seed=3) == search(RandomSampler(), bowl, 10, seed=3)


@pytest.mark.parametrize("options", [0, 2, 5])
def test_a_density_is_one_in_all(options: int) -> None:
    density = _Density.around(np.array([[0.3], [0.4]]), np.array([options]))
    x_CD = np.linspace(0, 1, 20_000, endpoint=False)[:, None]
    # Numbers lose what lies beyond the walls.
    assert np.exp(density.log(x_CD)).mean() == pytest.approx(1.0, abs=0.05)
