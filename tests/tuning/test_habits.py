"""Tests of `tunesmith.tuning.habits`, as a history learns them."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tunesmith.tuning.habits import GAIN, Habits
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.scale import Scale
from tunesmith.tuning.table import Table

EVEN = Scale(lowest=-1e9, spread=1e12)  # all values here are so close that it is linear


def trial(*values: float) -> Trial:
    curve = tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=1))
    return Trial(config={}, curve=curve)


def habits(trials: Sequence[Trial]) -> Habits:
    return History(horizon=16, trials=tuple(trials)).habits


def kept(trials: Sequence[Trial]) -> float:
    """The gain, as learned on an even scale."""
    forecasts = [forecast for each in trials for forecast in each.forecasts]
    slope_N = Table.of([each.row for each in trials]).slopes(EVEN)
    return Habits.of(slope_N, forecasts, EVEN).gain


def promises(of: Trial) -> list[tuple[float, float]]:
    """Decreases that were to be expected, and that came."""
    return [
        ((before - after) / folds * since, after - now)
        for before, after, folds, since, now in of.forecasts
    ]


def falling(share: float, *, until: int = 16, slope: float = 1.0) -> Trial:
    """A curve that keeps so much of the slope of its first doubling from then on."""
    first = [slope * math.log(2), 0.0]
    rest = [-share * slope * math.log(at / 2) for at in range(3, until + 1)]
    return trial(*(value + 10 for value in (*first, *rest)))


def test_the_slope_is_the_median_of_those_that_are_known() -> None:
    trials = [trial(3.0, 2.0), trial(1.0, 1.0), trial(1.5)]  # their lowest values differ by .5
    assert habits(trials).slope == pytest.approx(
        (1 + math.log(2)) / 2 / math.log(2) - 0.5 / math.log(2)
    )
    assert habits(trials[2:]) == habits([]) == Habits()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_how_much_of_a_slope_is_kept_is_learned_from_those_that_trained_on(share: float) -> None:
    short = falling(share, until=2)
    assert short.forecasts == ()
    assert kept([short] * 50) == GAIN  # none has shown it
    (forecast,) = promises(falling(share, until=4))
    assert forecast == pytest.approx((math.log(2), share * math.log(2)))
    many = [falling(share, until=4, slope=slope) for slope in (0.5, 1.0, 2.0)] * 20
    assert kept(many) == pytest.approx(share, abs=0.03)
    scaled = [falling(share, until=4, slope=1e6 * slope) for slope in (0.5, 1.0, 2.0)] * 20
    assert kept(scaled) == pytest.approx(kept(many), rel=1e-3)


def test_a_curve_promises_the_same_in_other_units() -> None:
    fine = falling(0.3, until=8)
    coarse = tuple(Observation(at=40 * o.at, value=o.value) for o in fine.curve)
    assert np.allclose(promises(Trial(config={}, curve=coarse)), promises(fine))


def test_a_curve_promises_by_what_was_measured_wherever_that_was() -> None:
    places = (1, 3, 4, 6, 7, 9, 40, 80)
    curve = tuple(Observation(at=at, value=-math.log(at)) for at in places)
    promised, came = np.transpose(promises(Trial(config={}, curve=curve)))
    assert promised == pytest.approx(came)
    assert came == pytest.approx([math.log(80 / at) for at in (4, 7, 9)])


def test_curves_that_rise_promise_nothing() -> None:
    rising = trial(1.0, 2.0, 3.0, 4.0)
    assert promises(rising) == [(0.0, 0.0)]
    assert habits([rising] * 9) == Habits(slope=0.0)
