"""Tests of `tunesmith.tuning.parts`."""

from typing import Any

from tunesmith.core.space import Choice, Field, Float, Int
from tunesmith.tuning.parts import Part, first_look, parts
from tunesmith.tuning.protocols import History, Observation, Trial

SPACE = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.01),
    "depth": Field(Int(1, 2), 1),
    "kind": Field(Choice("b", "a"), "a"),
}


def trial(value: float, at: int = 2, **config: Any) -> Trial:
    return Trial(config=config, curve=(Observation(at=at, value=value),))


HISTORY = History(
    horizon=10,
    trials=(
        trial(3.0, lr=2e-4, depth=2, kind="a"),
        trial(8.0, lr=3e-4, depth=2, kind="a"),
        trial(1.0, lr=0.02, depth=2, kind="b"),
        trial(2.0, lr=0.05, depth=1, kind="a"),
        trial(7.0, lr=0.03, depth=1, kind="a"),
        trial(4.0, at=9, lr=1.0, depth=1, kind="b"),
        trial(6.0, at=9, lr=0.9, kind="b"),
        trial(5.0, at=9, lr=0.8, kind="b"),
        Trial(config={"lr": 1e-3, "depth": 1, "kind": "a"}, failed="It ran out of memory."),
    ),
)


def test_quarters_of_a_range_are_told_by_what_was_tried_in_them() -> None:
    middle = Part(low=0.02, high=0.05, trials=3, median=2.0)
    assert parts(SPACE, HISTORY, "lr", at=2) == (middle,)  # 2 trials are too few
    high = Part(low=0.8, high=1.0, trials=3, median=5.0)
    assert parts(SPACE, HISTORY, "lr", at=9) == (middle, high)


def test_each_option_and_each_of_few_whole_numbers_is_a_part() -> None:
    found = parts(SPACE, HISTORY, "kind", at=9)
    assert [(part.low, part.high, part.trials) for part in found] == [("b", "b", 4), ("a", "a", 4)]
    assert [(part.low, part.high) for part in parts(SPACE, HISTORY, "depth", at=9)] == [
        (1, 1),
        (2, 2),
    ]


def test_trials_are_compared_where_all_of_them_were() -> None:
    assert first_look(HISTORY) == 2
    assert parts(SPACE, History(horizon=10), "lr", at=2) == ()


def test_values_after_each_unit_are_compared_after_as_many_as_all_have() -> None:
    def curve(units: int) -> tuple[Observation, ...]:
        return tuple(Observation(at=at, value=1 / at) for at in range(1, units + 1))

    trials = [Trial(config={}, curve=curve(units)) for units in (8, 4, 6)]
    failed = Trial(config={}, curve=curve(2), failed="It gave NaN.")
    assert first_look(History(horizon=10, trials=(*trials, failed, Trial(config={})))) == 4
