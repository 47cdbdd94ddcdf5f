"""Tests of `tunesmith.tuning.continuity`."""

import math

from tunesmith.tuning.continuity import begins_anew
from tunesmith.tuning.protocols import History, Observation


def history(*curves: list[float], step: int = 1) -> History:
    made = History(horizon=100)
    for number, values in enumerate(curves):
        points = tuple(Observation(at=n * step, value=v) for n, v in enumerate(values, start=1))
        made = made.started({}, until=100).observed(number, points, seconds=1.0)
    return made


def falling(top: float, count: int, *, begin: int = 0) -> list[float]:
    return [top * math.exp(-0.3 * n) for n in range(begin, begin + count)]


TOPS = (1.0, 0.8, 2.0)
ENDS = dict.fromkeys(range(3), (4, 8))


def test_curves_that_continue() -> None:
    assert not begins_anew(history(*[falling(top, 8) for top in TOPS]), ENDS)


def test_curves_that_begin_anew() -> None:
    anew = [falling(top, 4) + falling(1.02 * top, 4) for top in TOPS]
    assert begins_anew(history(*anew), ENDS)


def test_one_that_continues_clears_the_function() -> None:
    curves = [falling(top, 4) * 2 for top in TOPS[:2]]
    assert not begins_anew(history(*curves, falling(2.0, 8)), ENDS)


def test_a_value_for_each_slice_that_is_the_same_again() -> None:
    assert begins_anew(history([0.5, 0.5], [0.4, 0.4], [0.3, 0.3], step=4), ENDS)
    assert not begins_anew(history([0.5, 0.5], [0.4, 0.39], [0.3, 0.3], step=4), ENDS)


def test_trials_that_all_stand_still_at_one_value_prove_nothing() -> None:
    assert not begins_anew(history([0.9, 0.9], [0.9, 0.9], [0.9, 0.9], step=4), ENDS)


def test_too_few_trials_prove_nothing() -> None:
    anew = [falling(top, 4) * 2 for top in TOPS]
    assert not begins_anew(history(*anew[:2]), ENDS)
    assert not begins_anew(history(*anew), {0: (8,), 1: (8,), 2: (8,)})
