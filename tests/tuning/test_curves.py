"""Tests of `tunesmith.tuning.curves`."""

import math

import numpy as np
import pytest

from tunesmith.tuning.curves import Curves, expected
from tunesmith.tuning.habits import GAIN, Habits
from tunesmith.tuning.protocols import History, Observation, Trial


def trial(*values: float, seconds: float = 1.0) -> Trial:
    curve = tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=1))
    return Trial(config={}, curve=curve, seconds=seconds)


FALLING, FLAT, ONCE = trial(3.0, 2.0, seconds=4.0), trial(1.0, 1.0), trial(1.5)


def test_a_curve_that_falls_is_expected_to_fall_on() -> None:
    curves = Curves.of([FALLING, FLAT], habits=Habits())
    slope = 1 / math.log(2)
    assert curves.slope_N.tolist() == pytest.approx([slope, 0.0])
    assert curves.cost_N.tolist() == [2.0, 0.5]
    assert curves.mean(8).tolist() == pytest.approx([2.0 - GAIN * slope * math.log(4), 1.0])
    assert (curves.doubt(8) > 0).tolist() == [True, False]
    assert curves.mean(curves.at_N).tolist() == [2.0, 1.0]


def test_who_does_not_know_its_slope_has_the_others() -> None:
    curves = Curves.of([FALLING, ONCE], habits=Habits(slope=0.5))
    assert curves.slope_N.tolist() == [FALLING.slope, 0.5]


def test_nothing_is_expected_of_what_failed_or_was_not_measured() -> None:
    failed = Trial(config={}, curve=FALLING.curve, failed="It gave NaN.")
    history = History(horizon=2, trials=(FALLING, failed, Trial(config={}, until=1), FLAT))
    assert expected(history).tolist() == [2.0, math.inf, math.inf, 1.0]
    assert np.isinf(expected(History(horizon=2, trials=(failed,)))).all()


def test_a_value_that_falls_from_the_largest_number_hides_no_other() -> None:
    """The difference of both is not a number that can be written."""
    history = History(horizon=8)
    for number, values in enumerate(([1e308, 1e308, -1e308, -1e308], [3.0, 2.0, 1.0, 0.5])):
        curve = tuple(Observation(at=at, value=value) for at, value in enumerate(values, start=1))
        history = history.started({}, until=4).observed(number, curve, seconds=1.0)
    assert np.isfinite(expected(history)).all()
