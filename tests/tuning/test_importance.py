"""Tests of `tunesmith.tuning.importance`."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Int, Space, When
from tunesmith.tuning.gp import GP
from tunesmith.tuning.importance import LEVEL, at_edges, edge_words, importances
from tunesmith.tuning.protocols import History, Observation, Sampler, Trial
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.tpe import TPE

SPACE = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.01),
    "kind": Field(Choice("a", "b"), "a"),
    "idle": Field(Float(0.0, 1.0), 0.5),
    "only_b": Field(Int(1, 9), 3, When("kind", "b")),
}


def config(chance: np.random.Generator) -> dict[str, Any]:
    kind = "b" if chance.random() < 0.5 else "a"
    drawn = {"lr": 10 ** chance.uniform(-4, 0), "kind": kind, "idle": chance.random()}
    return drawn | ({"only_b": int(chance.integers(1, 10))} if kind == "b" else {})


def history(count: int, seed: int = 0) -> History:
    """Trials whose value is best for a rate of 0.01, and a little better for the first kind."""
    chance = np.random.default_rng(seed)
    trials = []
    for _ in range(count):
        drawn = config(chance)
        value = (math.log10(drawn["lr"]) + 2) ** 2 + 0.5 * (drawn["kind"] == "b")
        curve = (Observation(at=1, value=value), Observation(at=9, value=chance.random()))
        trials.append(Trial(config=drawn, curve=curve))
    return History(horizon=10, trials=tuple(trials))


def noise(count: int, seed: int) -> History:
    """Trials whose values have nothing to do with their configs."""
    chance = np.random.default_rng(seed)
    curves = [(Observation(at=1, value=value),) for value in chance.random(count)]
    return History(
        horizon=1, trials=tuple(Trial(config=config(chance), curve=curve) for curve in curves)
    )


SEARCHED: Space = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.1),
    "momentum": Field(Float(0.0, 1.0), 0.5),
    "kind": Field(Choice("a", "b", "c"), "a"),
    "idle": Field(Int(1, 64, log=True), 8),
}


def by_rate(config: Config) -> float:
    """The rate alone matters."""
    return float((math.log10(config["lr"]) + 2.3) ** 2)


def by_two(config: Config) -> float:
    """The rate matters much, the momentum less."""
    return by_rate(config) + float(3 * (config["momentum"] - 0.3) ** 2)


def searched(
    sampler: Sampler, function: Callable[[Config], float], count: int, seed: int, noise: float
) -> History:
    """Trials that a sampler proposed, each by the values of those before it."""
    history, chance = History(horizon=1), np.random.default_rng(seed)
    for number in range(count):
        config = sampler(SEARCHED, history, seed=seed)
        value = function(config) + noise * chance.standard_normal()
        history = history.started(config, until=1)
        history = history.observed(number, (Observation(at=1, value=value),), seconds=1.0)
    return history


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("sampler", [GP(), TPE(), RandomSampler()])
def test_fields_that_good_trials_inherited_are_not_named(sampler: Sampler, noise: float) -> None:
    found = [
        importances(SEARCHED, searched(sampler, by_rate, 40, seed, noise), at=1)
        for seed in range(20)
    ]
    assert sum(names.keys() > {"lr"} for names in found) <= 3
    assert sum("lr" in names for names in found) >= 12


@pytest.mark.parametrize("sampler", [GP(), TPE(), RandomSampler()])
def test_all_that_matters_is_found_where_a_sampler_looked(sampler: Sampler) -> None:
    found = [
        importances(SEARCHED, searched(sampler, by_two, 90, seed, 0.05), at=1) for seed in range(10)
    ]
    assert sum(list(names)[:2] == ["lr", "momentum"] for names in found) >= 8


def test_what_matters_comes_first_and_what_does_not_is_left_out() -> None:
    found = importances(SPACE, history(200), at=1)
    assert list(found) == ["lr", "kind"]
    assert found["lr"] > 0.4
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("trials", [12, 30])
def test_of_chance_a_field_is_named_no_more_often_than_the_level_says(trials: int) -> None:
    named = [bool(importances(SPACE, noise(trials, seed), at=1)) for seed in range(200)]
    assert 0 < np.mean(named) <= LEVEL + 0.03  # two standard errors


def test_what_matters_much_is_found_in_few_trials() -> None:
    found = [next(iter(importances(SPACE, history(25, s), at=1)), "") == "lr" for s in range(50)]
    assert np.mean(found) >= 0.9


def test_an_option_that_was_hardly_tried_tells_nothing() -> None:
    space = {"kind": Field(Choice("a", "b", "c"), "a")}

    def kinds(*counts: int) -> dict[str, float]:
        tried = [kind for kind, count in zip("abc", counts, strict=True) for _ in range(count)]
        curves = [(Observation(at=1, value=float(n)),) for n in range(len(tried))]
        trials = [Trial(config={"kind": k}, curve=c) for k, c in zip(tried, curves, strict=True)]
        return importances(space, History(horizon=1, trials=tuple(trials)), at=1)

    assert kinds(2, 12, 2) == kinds(2, 7, 2) == {}
    assert (
        kinds(3, 9, 0)["kind"]
        == pytest.approx(kinds(3, 9, 2)["kind"])
        == pytest.approx(0.523, abs=0.001)
    )


def test_very_many_trials_take_no_more_memory_than_a_few_lists() -> None:
    few = history(2_000)
    many = History(horizon=10, trials=few.trials * 25)
    tracemalloc.start()
    try:
        found = importances(SPACE, many, at=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(importances(SPACE, few, at=1), abs=0.05)
    assert peak < 1000 * len(many.trials)


def test_few_trials_tell_nothing_and_failed_ones_do_not_count() -> None:
    few = history(11)
    assert importances(SPACE, few, at=1) == {}
    failed = Trial(config=few.trials[0].config, failed="It ran out of memory.")
    assert importances(SPACE, History(horizon=10, trials=(*few.trials, failed)), at=1) == {}


def test_equal_values_explain_nothing() -> None:
    same = tuple(
        Trial(config=trial.config, curve=(Observation(at=1, value=1.0),))
        for trial in history(30).trials
    )
    assert importances(SPACE, History(horizon=10, trials=same), at=1) == {}


EDGES = {
    **SPACE,
    "few": Field(Int(1, 4), 2),
    "from_none": Field(Int(0, 9), 3),
    "share": Field(Float(0.1, 1.0), 0.5),
}


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ({"lr": 0.01, "kind": "a", "idle": 0.5, "only_b": 5, "share": 0.5}, {}),
        ({"lr": 1.1e-4, "idle": 0.01, "share": 0.1}, {"lr": "low", "share": "low"}),
        ({"lr": 0.9, "only_b": 9}, {"lr": "high", "only_b": "high"}),
        ({"only_b": 1, "from_none": 0}, {"only_b": "low"}),
        ({"idle": 0.99, "share": 1.0}, {}),
        ({"few": 1}, {}),
        ({"few": 4}, {}),
    ],
)
def test_ends_of_ranges_are_told_but_nothing_and_all_are_none(
    values: dict[str, Any], edges: dict[str, str]
) -> None:
    assert at_edges(EDGES, values) == edges


def test_only_of_fields_that_mattered_there_may_be_better_beyond() -> None:
    config = {"lr": 0.9, "kind": "a", "share": 0.1}
    (words,) = edge_words(EDGES, config, {"lr": 0.1, "kind": 0.5})
    assert words == (
        "The best lr that was found, 0.9, lies at the high end of what was tried "
        "(Float(low=0.0001, high=1.0, log=True)): there may be better beyond."
    )
    assert edge_words(EDGES, config, {}) == []  # too few trials to say what mattered


def test_once_a_field_is_named_the_others_share_the_level() -> None:
    assert list(importances(SPACE, history(30, seed=5), at=1)) == ["lr", "kind"]
