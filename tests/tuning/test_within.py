"""Tests of `tunesmith.tuning.within`; the laws of samplers are tested in test_contracts."""

import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Int, When
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.within import Within

SPACE = {
    "width": Field(Int(8, 128, log=True), 16),
    "depth": Field(Int(1, 4), 2),
    "activation": Field(Choice("relu", "gelu"), "relu"),
}
SAMPLER = Within(RandomSampler(), costly=("width", "depth"))


def failed(failure: str, **config: object) -> Trial:
    return Trial(config={"activation": "relu", **config}, failed="Why.", failure=failure)


def proposed(*trials: Trial) -> list[Config]:
    history = History(horizon=25, trials=trials)
    return [SAMPLER(SPACE, history, seed=seed) for seed in range(200)]


@pytest.mark.parametrize("failure", ["limit", "late"])
def test_nothing_as_large_as_what_was_too_large_is_proposed_again(failure: str) -> None:
    over = failed(failure, width=32, depth=2)
    configs = proposed(over)
    assert not [c for c in configs if c["width"] >= 32 and c["depth"] >= 2]
    assert any(c["width"] >= 32 for c in configs)  # with one convolution, perhaps
    assert any(c["depth"] > 2 for c in configs)
    assert {c["activation"] for c in configs} == {"relu", "gelu"}


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (failed("memory", width=8, depth=1),),
        (failed("raised", width=8, depth=1),),
        (failed("", width=8, depth=1),),
    ],
)
def test_what_failed_for_another_reason_teaches_nothing(trials: tuple[Trial, ...]) -> None:
    plain = [
        RandomSampler()(SPACE, History(horizon=25, trials=trials), seed=seed) for seed in range(200)
    ]
    assert proposed(*trials) == plain


def test_where_everything_is_too_large_the_defaults_are_left() -> None:
    configs = proposed(failed("limit", width=8, depth=1))
    assert {(c["width"], c["depth"]) for c in configs} == {(16, 2)}


def test_what_was_too_large_tells_nothing_of_another_kind() -> None:
    sampler = Within(RandomSampler(), costly=("width", "depth"), kinds=("activation",))
    over = failed("limit", width=16, depth=1)
    history = History(horizon=25, trials=(over,))
    configs = [sampler(SPACE, history, seed=seed) for seed in range(200)]
    assert max(c["width"] for c in configs if c["activation"] == "relu") < 16
    assert max(c["width"] for c in configs if c["activation"] == "gelu") > 64


def test_the_defaults_are_left_with_the_fields_that_mean_anything_then() -> None:
    space = {
        "block": Field(Choice("plain", "wide"), "plain"),
        "expansion": Field(Int(1, 6), 4, When("block", "wide")),
    }
    sampler = Within(RandomSampler(), costly=("expansion",), kinds=("block",))
    over = Trial(config={"block": "wide", "expansion": 1}, failed="Why.", failure="limit")
    history = History(horizon=25, trials=(over,))
    configs = [sampler(space, history, seed=seed) for seed in range(50)]
    assert configs == [{"block": "plain"}] * 50


def test_networks_whose_size_has_no_name_are_all_proposed() -> None:
    over = failed("limit", width=8, depth=1)
    history = History(horizon=25, trials=(over,))
    plain = RandomSampler()(SPACE, history, seed=0)
    assert Within(RandomSampler(), costly=())(SPACE, history, seed=0) == plain


def test_without_an_order_of_cost_the_same_kind_is_not_proposed_again() -> None:
    """As of a user's network, of whose parameters nobody knows which make it larger."""
    space = {"size": Field(Choice(8, 16, 32), 8), "lr": Field(Float(0.0, 1.0), 0.5)}
    over = Trial(config={"size": 16, "lr": 0.1}, failed="Why.", failure="limit")
    history = History(horizon=25, trials=(over,))
    sampler = Within(RandomSampler(), costly=(), kinds=("size",))
    proposed = {sampler(space, history, seed=seed)["size"] for seed in range(100)}
    assert proposed == {8, 32}


def test_a_cost_may_have_other_reasons_and_other_fields() -> None:
    sampler = Within(RandomSampler(), costly=("width", "depth"), failures=["memory"])
    memory = History(horizon=25, trials=(failed("memory", width=32, depth=1),))
    assert max(sampler(SPACE, memory, seed=seed)["width"] for seed in range(200)) < 32
    limit = History(horizon=25, trials=(failed("limit", width=32, depth=1),))
    assert max(sampler(SPACE, limit, seed=seed)["width"] for seed in range(200)) > 64
