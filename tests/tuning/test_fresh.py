"""Tests of `tunesmith.tuning.fresh`."""

import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Int, Space, When
from tunesmith.tuning.fresh import TURNS, is_exhausted, new_config
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.protocols import History, Observation, Sampler
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.tpe import TPE

KINDS: Space = {"kind": Field(Choice("a", "b", "c", "d"), "a")}


def tried(space: Space, *configs: Config) -> History:
    history = History(horizon=10)
    for config in configs:
        history = history.started(config, until=1)
    return history


def test_each_of_a_few_configs_is_tried_before_one_is_repeated() -> None:
    for seed in range(20):
        history = tried(KINDS)
        for _ in range(4):
            config = new_config(RandomSampler(), KINDS, history, seed=seed)
            history = history.started(config, until=1)
        assert {trial.config["kind"] for trial in history.trials} == set("abcd")
        assert is_exhausted(KINDS, history)


def test_it_is_a_pure_function_and_ends_where_nothing_is_new() -> None:
    history = tried(KINDS, *({"kind": kind} for kind in "abcd"))
    first, again = (new_config(RandomSampler(), KINDS, history, seed=1) for _ in range(2))
    assert first == again
    assert TURNS > 1


def test_what_is_finite_ends_and_what_is_not_does_not() -> None:
    space: Space = {"n": Field(Int(1, 2), 1), "kind": Field(Choice("a", "b"), "a")}
    configs = [{"n": n, "kind": kind} for n in (1, 2) for kind in "ab"]
    assert not is_exhausted(space, tried(space, *configs[:3], configs[0]))
    assert is_exhausted(space, tried(space, *configs))
    endless = {**space, "lr": Field(Float(0.0, 1.0), 0.5)}
    assert not is_exhausted(endless, tried(endless, *({**c, "lr": 0.5} for c in configs)))


def test_fields_that_mean_nothing_make_no_more_configs() -> None:
    space: Space = {
        "kind": Field(Choice("a", "b", "c"), "a"),
        "size": Field(Int(1, 4), 1, When("kind", "b", "c")),
        "deep": Field(Choice("yes", "no"), "no", When("size", 4)),
        "side": Field(Choice(1, 2), 1),
    }
    # One of "a", and of "b" and "c" three sizes and twice the fourth; and two sides of each.
    kinds: list[Config] = [{"kind": "a"}]
    kinds += [{"kind": kind, "size": size} for kind in "bc" for size in (1, 2, 3)]
    kinds += [{"kind": kind, "size": 4, "deep": deep} for kind in "bc" for deep in ("yes", "no")]
    configs = [{**config, "side": side} for config in kinds for side in (1, 2)]
    assert len(configs) == 22
    assert not is_exhausted(space, tried(space, *configs[1:], configs[1]))
    assert is_exhausted(space, tried(space, *configs))


def test_many_configs_are_not_counted_one_by_one() -> None:
    fields = {f"n{n}": Field(Int(1, 9), 1, When("n0", 1) if n else None) for n in range(9)}
    assert not is_exhausted(fields, tried(fields, *({"n0": n} for n in range(1, 10))))


@pytest.mark.parametrize("sampler", [TPE(), OptunaSampler(), HyperoptSampler()])
def test_what_is_left_of_a_small_space_is_found(sampler: Sampler) -> None:
    options = "abcdefghijkl"
    space: Space = {"kind": Field(Choice(*options), "a")}
    history = History(horizon=10)
    for number, kind in enumerate(options[:-1]):
        curve = (Observation(at=10, value=float(number)),)
        history = history.started({"kind": kind}, until=10).observed(number, curve, seconds=1.0)
    for seed in range(10):
        assert new_config(sampler, space, history, seed=seed) == {"kind": "l"}


def test_what_is_left_has_no_fields_that_mean_nothing() -> None:
    space: Space = {
        "kind": Field(Choice("a", "b"), "a"),
        "size": Field(Int(1, 3), 1, When("kind", "b")),
    }

    def stubborn(space: Space, history: History, *, seed: int) -> Config:
        return {"kind": "b", "size": 1}

    history = tried(space, {"kind": "b", "size": 1}, {"kind": "b", "size": 3})
    found = [new_config(stubborn, space, history, seed=seed) for seed in range(20)]
    assert all(config in ({"kind": "a"}, {"kind": "b", "size": 2}) for config in found)
    assert found[0] == new_config(stubborn, space, history, seed=0)


def test_numbers_of_configs_may_be_larger_than_any_float() -> None:
    space: Space = {f"n{n}": Field(Int(0, 2**60), 0) for n in range(20)}
    assert not is_exhausted({**space, "lr": Field(Float(0.0, 1.0), 0.5)}, History(horizon=1))
