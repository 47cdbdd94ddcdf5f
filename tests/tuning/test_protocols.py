"""Tests of `tunesmith.tuning.protocols`."""

import math

import pytest

from tunesmith.tuning.habits import Fall, Habits
from tunesmith.tuning.protocols import History, Observation, Trial


def curve(*values: float, begin: int = 0) -> tuple[Observation, ...]:
    return tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=begin + 1))


def fall(trial: Trial) -> Fall:
    return Fall(trial.row.before, trial.row.after, trial.row.folds)


def test_a_trial_knows_its_best_value_and_how_it_fell() -> None:
    trial = Trial(config={}, curve=curve(4.0, 3.0, 3.5, 2.0), seconds=8.0)
    assert trial.at == 4
    assert trial.best == 2.0
    assert trial.best_until(3) == 3.0
    assert fall(trial) == pytest.approx((3.0, 2.0, math.log(2)))
    assert trial.after(2) == Trial(config={}, curve=curve(4.0, 3.0), seconds=4.0)


def test_a_trial_that_was_not_measured_enough_has_not_fallen() -> None:
    assert fall(Trial(config={})).before == math.inf
    assert fall(Trial(config={}, curve=curve(1.0))).before == math.inf
    assert Trial(config={}).best == math.inf


@pytest.mark.parametrize("block", [1, 4])
def test_a_fall_is_that_of_the_curve_after_any_number_of_values(block: int) -> None:
    points = [Observation(at=at, value=-math.log(at)) for at in range(block, 10 * block, block)]
    for count in range(2, len(points) + 1):
        trial = Trial(config={}, curve=tuple(points[:count]))
        high, low, folds = fall(trial)
        assert high - low == pytest.approx(folds)
        for before, after, folds, since, now in trial.forecasts:
            assert before - after == pytest.approx(folds)
            assert after - now == pytest.approx(since)


def test_a_best_value_still_counts_when_worse_ones_were_measured_later() -> None:
    trial = Trial(config={}, curve=curve(3.0, 9.0, 9.0, 9.0, 1.0))  # lowest after 2: 3.0
    assert fall(trial) == pytest.approx((3.0, 1.0, math.log(5 / 2)))
    assert fall(Trial(config={}, curve=curve(1.0, 3.0, 2.0)))[:2] == (1.0, 1.0)


def test_values_that_are_not_finite_are_no_best_values() -> None:
    trial = Trial(config={}, curve=curve(2.0, math.nan, -math.inf))
    assert trial.best == 2.0
    assert trial.at == 3


def test_a_history_is_what_happened() -> None:
    history = History(horizon=4).started({"a": 1}, until=2).started({"a": 2}, until=2)
    assert history.paused() == ()
    history = history.observed(1, curve(2.0, 1.0), seconds=3.0)
    assert history.paused() == (1,)
    assert history.trials[1].seconds == 3.0
    history = history.resumed(1, until=4)
    assert history.paused() == ()
    history = history.observed(1, curve(0.5, 0.4, begin=2), seconds=1.0)
    assert history.paused() == ()  # it is at the horizon
    assert history.trials[1].curve == curve(2.0, 1.0, 0.5, 0.4)
    history = history.failed(0, "It ran out of memory.")
    assert history.trials[0].until is None
    assert history.paused() == ()


def test_what_is_learned_of_trials_is_learned_anew_when_they_change() -> None:
    history = History(horizon=4).started({}, until=2).started({}, until=2).started({}, until=2)
    assert (history.measured, history.habits) == ((), Habits())
    history = history.observed(1, curve(2.0, 1.0), seconds=3.0)
    assert history.measured == (1,)
    assert history.habits is history.habits
    assert history.habits.slope > 0
    history = history.failed(0, "It gave NaN.").observed(2, curve(math.nan), seconds=1.0)
    assert history.measured == (1,)
    assert history.failed(1, "It ran out of memory.").habits == Habits()


def test_the_last_value_is_what_there_is_of_a_trial() -> None:
    assert Trial(config={}, curve=curve(4.0, 2.0, 3.0)).last == 3.0
    assert Trial(config={}).last == math.inf


def test_what_was_given_up_cannot_go_on_and_has_not_failed() -> None:
    history = History(horizon=4).started({}, until=2).observed(0, curve(1.0, 0.5), seconds=1.0)
    assert history.paused() == (0,)
    dropped = history.dropped(0)
    assert dropped.paused() == ()
    assert dropped.trials[0].failed is None
    assert dropped.trials[0].curve == curve(1.0, 0.5)


def test_a_curve_goes_on_where_it_ended() -> None:
    history = History(horizon=4).started({}, until=2).observed(0, curve(1.0, 1.0), seconds=1.0)
    with pytest.raises(AssertionError, match="goes on where it ended"):
        history.resumed(0, until=4).observed(0, curve(1.0), seconds=1.0)
