"""Tests of `tunesmith.tuning.freeze_thaw`; the laws of schedulers are tested in test_contracts."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.tuning.freeze_thaw import FIRST, FreezeThaw, _log_mean, _log_normal
from tunesmith.tuning.protocols import Decision, History, Observation, Resume, Start, Trial


def history(*curves: list[float], seconds: float = 1.0) -> History:
    made = History(horizon=100)
    for number, values in enumerate(curves):
        points = tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=1))
        made = made.started({}, until=len(points)).observed(
            number, points, seconds=seconds * len(points)
        )
    return made


def decisions(history: History, *, spent: float = 0.0, may_start: bool = True) -> list[Decision]:
    ask = FreezeThaw(block=0.04)
    return [ask(history, spent=spent, may_start=may_start, seed=seed) for seed in range(40)]


FLAT = [0.5, 0.5, 0.5, 0.5]
BAD = [0.9, 0.9, 0.9, 0.9]
FALLING = [0.9, 0.8, 0.7, 0.52]


def test_some_trials_are_started_before_any_goes_on() -> None:
    for count in range(FIRST):
        assert decisions(history(*[FLAT] * count)) == [Start(4)] * 40


def test_what_falls_goes_on_before_what_does_not() -> None:
    made = history(FLAT, BAD, FALLING, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD)
    chosen = decisions(made, may_start=False)
    assert chosen.count(Resume(2, 8)) > 30


def test_new_trials_are_started_where_they_promise_more() -> None:
    stuck = history(*[[*FALLING, *[0.52] * 36]] * 12)
    assert decisions(stuck).count(Start(4)) > 5
    hopeless = history([0.01] * 40, *[BAD] * 12)
    assert decisions(hopeless).count(Start(4)) == 0


def test_a_trial_that_costs_more_must_promise_more() -> None:
    cheap = history(FALLING, *[BAD] * 10)
    same = History(horizon=100, trials=(*cheap.trials, cheap.trials[0]))
    slow = replace(same.trials[0], seconds=400.0)
    made = replace(same, trials=(slow, *same.trials[1:]))
    assert decisions(made, may_start=False) == [Resume(11, 8)] * 40


def test_at_the_end_of_the_budget_half_of_the_blocks_go_to_the_best() -> None:
    made = history(FLAT, FALLING, FALLING, FALLING, FALLING, *[BAD] * 6)
    early = decisions(made, may_start=False).count(Resume(0, 8))
    late = decisions(made, may_start=False, spent=1.0).count(Resume(0, 8))
    assert late >= early + 10


def test_a_trial_that_lost_its_first_block_makes_it_up() -> None:
    """A crash can leave a trial that was started, and has no value."""
    made = history(FLAT, FLAT, FLAT, FLAT, FLAT, *[BAD] * 6).started({}, until=4)
    lost = made.observed(11, (), seconds=0.0)
    assert decisions(lost) == [Resume(11, 4)] * 40


def test_values_that_are_all_the_same_are_no_trouble() -> None:
    assert all(isinstance(d, Resume | Start) for d in decisions(history(*[[0.0] * 4] * 12)))


def test_chances_far_out_are_told_apart() -> None:
    z_N = np.array([-math.inf, -40.0, -5.01, -4.99, 0.0, 3.0])
    log_N = _log_normal(z_N)
    assert (np.diff(log_N) > 0).all()
    assert np.isfinite(log_N).all()
    assert log_N[4] == pytest.approx(math.log(0.5))
    assert log_N[2] == pytest.approx(log_N[3], abs=0.12)


def test_means_of_numbers_that_are_too_small_for_a_float() -> None:
    assert _log_mean(np.array([-2000.0, -2000.0])) == pytest.approx(-2000.0)
    assert _log_mean(np.array([0.0, -2000.0])) == pytest.approx(math.log(0.5))


def test_what_failed_sets_no_bar() -> None:
    made = history(FLAT, BAD, FALLING, *[BAD] * 8, [0.01, 0.01, 0.01, math.nan])
    never = history(FLAT, BAD, FALLING, *[BAD] * 8, [math.nan] * 4)
    failed = [each.failed(11, "It gave a value that is not finite.") for each in (made, never)]
    assert decisions(failed[0], may_start=False) == decisions(failed[1], may_start=False)


LATE = Trial(config={}, curve=(Observation(at=8, value=0.52),), seconds=8.0)  # twice a block


def test_a_first_value_after_more_than_a_block_does_not_keep_others_from_starting() -> None:
    stuck = history(*[[*FALLING, *[0.52] * 36]] * 12)
    made = replace(stuck, trials=(*stuck.trials, LATE))
    assert decisions(made).count(Start(4)) > 5


def test_where_no_first_block_was_measured_one_is() -> None:
    made = History(horizon=100, trials=(LATE,) * 12)
    assert decisions(made) == [Start(4)] * 40
    assert all(isinstance(d, Resume) for d in decisions(made, may_start=False))


def once(*values: float) -> History:
    """Trials whose first block brought one value."""
    trials = (Trial(config={}, curve=(Observation(at=4, value=v),), seconds=4.0) for v in values)
    return History(horizon=100, trials=tuple(trials))


def test_the_best_third_of_those_with_one_value_go_on_at_once() -> None:
    made = once(0.9, 0.5, 0.6, 0.7, 0.8, 0.4)
    assert decisions(made) == [Resume(1, 8)] * 40
    made = made.observed(1, (Observation(at=8, value=0.5),), seconds=4.0)
    assert decisions(made) == [Resume(5, 8)] * 40
    made = made.observed(5, (Observation(at=8, value=0.39),), seconds=4.0)
    assert Resume(5, 12) in decisions(made)  # from now on, by what they promise


def test_a_first_value_becomes_one_of_the_best_third_once_there_are_worse_ones() -> None:
    two = once(0.5, 0.6).observed(0, (Observation(at=8, value=0.5),), seconds=4.0)
    assert decisions(two) == [Start(4)] * 40  # of two, one is enough
    worse = replace(two, trials=(*two.trials, *once(0.7, 0.8, 0.9).trials))
    assert decisions(worse) == [Resume(1, 8)] * 40


def test_what_failed_or_equals_others_keeps_no_others_from_going_on() -> None:
    made = once(0.1, 0.2, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6)
    for number in range(3):
        made = made.failed(number, "It diverged.")
    assert decisions(made) == [Resume(3, 8)] * 40
    made = made.observed(3, (Observation(at=8, value=0.5),), seconds=4.0)
    assert decisions(made) == [Resume(4, 8)] * 40  # the second of six, and not all its equals
    made = made.observed(4, (Observation(at=8, value=0.6),), seconds=4.0)
    assert Resume(5, 8) not in decisions(made)


def test_values_too_close_to_tell_a_slope_are_as_one() -> None:
    """Two of three units show no doubling of the training."""
    values = [(0.9, 0.8), (0.7, 0.6), (0.8, 0.7), (0.95, 0.85)]
    made = History(horizon=75)
    for number, pair in enumerate(values):
        points = tuple(Observation(at=at, value=v) for at, v in zip((2, 3), pair, strict=True))
        made = made.started({}, until=3).observed(number, points, seconds=3.0)
    assert decisions(made) == [Resume(1, 6)] * 40
    made = made.observed(1, (Observation(at=6, value=0.6),), seconds=3.0)
    assert decisions(made) == [Resume(2, 6)] * 40
    made = made.observed(2, (Observation(at=6, value=0.7),), seconds=3.0)
    assert decisions(made) == [Start(3)] * 40
