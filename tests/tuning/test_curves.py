"""Tests of `tunesmith.tuning.curves`."""

import math

import numpy as np
import pytest

from tunesmith.tuning.curves import GAIN, Curves, Habits, expected
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
    habits = Habits.of([FALLING, FLAT, ONCE])
    assert habits.slope == pytest.approx(0.5 / math.log(2))
    assert Curves.of([ONCE], habits=habits).slope_N.tolist() == [habits.slope]
    assert Habits.of([ONCE]) == Habits()


def falling(share: float, *, until: int = 16, slope: float = 1.0) -> Trial:
    """A curve that keeps so much of the slope of its first doubling from then on."""
    first = [slope * math.log(2), 0.0]
    rest = [-share * slope * math.log(at / 2) for at in range(3, until + 1)]
    return trial(*(value + 10 for value in (*first, *rest)))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_how_much_of_a_slope_is_kept_is_learned_from_those_that_trained_on(share: float) -> None:
    short = falling(share, until=2)
    assert short.forecasts == ()
    assert Habits.of([short] * 50).gain == GAIN  # none has shown it
    (forecast,) = falling(share, until=4).forecasts
    assert forecast == pytest.approx((math.log(2), share * math.log(2)))
    many = [falling(share, until=4, slope=slope) for slope in (0.5, 1.0, 2.0)] * 20
    assert Habits.of(many).gain == pytest.approx(share, abs=0.03)
    scaled = [falling(share, until=4, slope=1e6 * slope) for slope in (0.5, 1.0, 2.0)] * 20
    assert Habits.of(scaled).gain == pytest.approx(Habits.of(many).gain)


def test_a_curve_promises_the_same_in_other_units() -> None:
    fine = falling(0.3, until=8)
    coarse = tuple(Observation(at=40 * o.at, value=o.value) for o in fine.curve)
    assert np.allclose(Trial(config={}, curve=coarse).forecasts, fine.forecasts)


def test_curves_that_rise_promise_nothing() -> None:
    rising = trial(1.0, 2.0, 3.0, 4.0)
    assert rising.forecasts == ((0.0, 0.0),)
    assert Habits.of([rising] * 9) == Habits(slope=0.0)


def test_nothing_is_expected_of_what_failed_or_was_not_measured() -> None:
    failed = Trial(config={}, curve=FALLING.curve, failed="It gave NaN.")
    history = History(horizon=2, trials=(FALLING, failed, Trial(config={}, until=1), FLAT))
    assert expected(history).tolist() == [2.0, math.inf, math.inf, 1.0]
    assert np.isinf(expected(History(horizon=2, trials=(failed,)))).all()
