"""Tests of `tunesmith.tuning.continuity`."""

import math

from tunesmith.tuning.continuity import begins_anew, stands_still
from tunesmith.tuning.protocols import History, Observation


def history(*curves: list[float], step: int = 1) -> History:
    made = History(horizon=100)
    for number, values in enumerate(curves):
        points = tuple(Observation(at=n * step, value=v) for n, v in enumerate(values, start=1))
        made = made.started({}, until=100).observed(number, points, seconds=1.0)
    return made


def falling(top: float, count: int) -> list[float]:
    return [top * math.exp(-0.3 * n) for n in range(count)]


TOPS = (1.0, 0.8, 2.0, 3.0, 4.0)
ENDS = dict.fromkeys(range(len(TOPS)), (4, 8))
ANEW = [falling(top, 4) + falling(1.02 * top, 4) for top in TOPS]
STILL = [[top, top] for top in TOPS]


def test_curves_that_continue() -> None:
    made = history(*[falling(top, 8) for top in TOPS])
    assert not begins_anew(made, ENDS)
    assert not stands_still(made, ENDS)


def test_curves_that_begin_anew() -> None:
    assert begins_anew(history(*ANEW), ENDS)


def test_one_that_continues_clears_the_function() -> None:
    assert not begins_anew(history(*ANEW[:4], falling(4.0, 8)), ENDS)


def test_curves_that_have_nothing_left_to_learn_do_not_begin_anew() -> None:
    assert not begins_anew(history(*[[top] * 8 for top in TOPS]), ENDS)


def test_a_value_for_each_slice_that_is_the_same_again() -> None:
    assert stands_still(history(*STILL, step=4), ENDS)
    assert not begins_anew(history(*STILL, step=4), ENDS)
    assert not stands_still(history(*STILL[:4], [4.0, 3.9], step=4), ENDS)


def test_trials_that_all_stand_still_at_one_value_prove_nothing() -> None:
    assert not stands_still(history(*[[0.9, 0.9]] * 5, step=4), ENDS)


def test_too_few_trials_prove_nothing() -> None:
    assert not begins_anew(history(*ANEW[:4]), ENDS)
    assert not begins_anew(history(*ANEW), dict.fromkeys(ENDS, (8,)))
