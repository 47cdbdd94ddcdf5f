"""Tests of `tunesmith.tuning.curves`."""

import math

import numpy as np
import pytest

from tunesmith.tuning.curves import Curves, expected
from tunesmith.tuning.habits import GAIN, Habits
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.scale import Scale
from tunesmith.tuning.table import Table


def trial(*values: float, seconds: float = 1.0) -> Trial:
    curve = tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=1))
    return Trial(config={}, curve=curve, seconds=seconds)


def table(*trials: Trial) -> Table:
    return Table.of([each.row for each in trials])


SCALE = Scale(lowest=1.0, spread=1.0)
FALLING, FLAT, ONCE = trial(3.0, 2.0, seconds=4.0), trial(1.0, 1.0), trial(1.5)


def test_a_curve_that_falls_is_expected_to_fall_on() -> None:
    curves = Curves.of(table(FALLING, FLAT), habits=Habits(), scale=SCALE)
    slope = 1.0  # a factor of 2 in a doubling
    assert curves.slope_N.tolist() == pytest.approx([slope, 0.0])
    assert curves.cost_N.tolist() == [2.0, 0.5]
    low, high = SCALE([1.0, 2.0])
    assert curves.mean(8).tolist() == pytest.approx([high - GAIN * slope * math.log(4), low])
    assert (curves.doubt(8) > 0).tolist() == [True, False]
    assert curves.mean(curves.at_N).tolist() == [high, low]


def test_who_does_not_know_its_slope_has_the_others() -> None:
    curves = Curves.of(table(FALLING, ONCE), habits=Habits(slope=0.5), scale=SCALE)
    assert curves.slope_N.tolist() == [pytest.approx(1.0), 0.5]


def test_nothing_is_expected_of_what_failed_or_was_not_measured() -> None:
    failed = Trial(config={}, curve=FALLING.curve, failed="It gave NaN.")
    history = History(horizon=2, trials=(FALLING, failed, Trial(config={}, until=1), FLAT))
    assert expected(history).tolist() == pytest.approx([2.0, math.inf, math.inf, 1.0])
    assert np.isinf(expected(History(horizon=2, trials=(failed,)))).all()


def test_no_trial_is_expected_far_below_the_best() -> None:
    """By its differences, the second one would fall to -250."""
    curves = [[100.0, 1.0, 0.5, 0.4], [1000.0, 300.0, 100.0, 50.0]]
    curves += [[5.0, 2.0, 1.2, 0.8], [20.0, 9.0, 5.0, 3.0]]
    history = History(horizon=50, trials=tuple(trial(*values) for values in curves))
    assert (expected(history) > 0.4 - 3 * (1.9 - 0.4)).all()  # in spreads of the better half


def test_a_value_that_falls_from_the_largest_number_hides_no_other() -> None:
    history = History(horizon=8)
    for number, values in enumerate(([1e100, 1e100, -1e100, -1e100], [3.0, 2.0, 1.0, 0.5])):
        curve = tuple(Observation(at=at, value=value) for at, value in enumerate(values, start=1))
        history = history.started({}, until=4).observed(number, curve, seconds=1.0)
    assert np.isfinite(expected(history)).all()
