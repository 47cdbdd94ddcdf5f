"""Tests of `tunesmith.tuning.timing`."""

import math

import pytest

from tunesmith.records.events import SliceDone
from tunesmith.tuning.protocols import History, Observation, Resume, Start
from tunesmith.tuning.timing import (
    HICCUP_S,
    SLACK,
    best_trial,
    expected_s,
    kept_s,
    must_go_on,
    patience_s,
    preparing_s,
    remaining_s,
    share_of,
    without_longer,
)


def history(*trials: tuple[int, float]) -> History:
    """Trials that are at some unit of 10 with some value; a unit takes a second."""
    made = History(horizon=10)
    for number, (at, value) in enumerate(trials):
        points = (Observation(at=at, value=value),) if at else ()
        made = made.started({}, until=10).observed(number, points, seconds=float(at))
    return made


def test_nothing_must_be_while_there_is_time() -> None:
    assert must_go_on(history(), left_s=0.0, block=1) is None
    assert must_go_on(history((2, 0.5)), left_s=100, block=1) is None
    assert must_go_on(history((0, 0.0)), left_s=100, block=1) is None


def test_trial_0_is_finished_first_and_the_best_one_next() -> None:
    trials = history((4, 0.5), (5, 0.4), (6, 0.6))
    needed = SLACK * (6 + 5) + HICCUP_S
    assert must_go_on(trials, left_s=needed + 1.1, block=1) is None
    assert must_go_on(trials, left_s=needed + 0.9, block=1) == Resume(0, 5)
    done = history((10, 0.5), (5, 0.4), (6, 0.6))
    assert must_go_on(done, left_s=6.0, block=3) == Resume(1, 8)
    assert must_go_on(done, left_s=6.0, block=30) == Resume(1, 10)


def test_the_best_trial_may_have_to_be_finished() -> None:
    trials = history((10, 0.5), (5, 0.4), (10, 0.45))
    assert (best_trial(trials), best_trial(trials, least=10)) == (1, 2)
    assert best_trial(history((5, 0.4)), least=10) is None


def test_what_a_slice_takes_beside_its_training_counts() -> None:
    trials = history((4, 0.5), (5, 0.4), (6, 0.6))
    needed = 2 * SLACK * (6 + 5) + HICCUP_S  # a unit takes a second, and another one beside
    assert must_go_on(trials, left_s=needed + 2.1, block=1, beside_s=1.0) is None
    assert must_go_on(trials, left_s=needed + 1.9, block=1, beside_s=1.0) == Resume(0, 5)
    assert kept_s(trials, Start(1), beside_s=1.0) == 2 * kept_s(trials, Start(1))


def test_what_is_done_failed_or_running_need_not_be_started() -> None:
    assert must_go_on(history((10, 0.4), (5, 0.5)), left_s=0.1, block=1) is None
    assert must_go_on(history((5, 0.4)).failed(0, "Memory."), left_s=0.1, block=1) is None
    best = history((10, 0.5), (5, 0.4), (6, 0.45)).failed(1, "Memory.")
    assert must_go_on(best, left_s=0.1, block=1) == Resume(2, 7)
    running = history((5, 0.4)).resumed(0, until=6)
    assert must_go_on(running, left_s=0.1, block=1) is None


def test_what_a_trial_still_needs() -> None:
    trials = history((4, 0.5), (0, 0.0)).trials
    assert remaining_s(trials[0], 10) == pytest.approx(6 * SLACK)
    assert remaining_s(trials[1], 10) == 0.0


def test_what_was_slower_lately_counts_and_what_was_faster_does_not() -> None:
    begun = history((4, 0.5))
    slower, faster = (
        begun.observed(0, (Observation(at=6, value=0.5),), seconds=seconds)
        for seconds in (8.0, 1.0)
    )
    assert remaining_s(slower.trials[0], 10) == pytest.approx(4 * 4.0 * SLACK)
    assert remaining_s(faster.trials[0], 10) == pytest.approx(4 * 5 / 6 * SLACK)
    needed = SLACK * 4 * 4.0 + HICCUP_S
    assert must_go_on(slower, left_s=needed + 4.1, block=1) is None
    assert must_go_on(slower, left_s=needed + 3.9, block=1) == Resume(0, 7)
    put_back = slower.resumed(0, until=7).observed(0, (), seconds=0.0)
    assert put_back == slower


def test_what_the_best_trial_left_is_there() -> None:
    trials = history((4, 0.5), (4, 0.3))
    assert best_trial(trials) == 1
    assert best_trial(trials.failed(1, "Memory.")) == 1  # what it left is there
    assert best_trial(trials.failed(1, "Memory."), may_have_failed=False) == 0
    assert best_trial(trials.dropped(1)) == 0
    assert best_trial(trials, first=1) == 1
    assert best_trial(history((0, 0.0))) is None


def test_the_best_trial_has_the_best_last_value_whatever_it_had_before() -> None:
    points = Observation(at=2, value=0.1), Observation(at=4, value=0.6)
    trials = history((4, 0.5)).started({}, until=4).observed(1, points, seconds=4.0)
    assert best_trial(trials) == 0
    assert best_trial(trials, first=1) == 1


def test_what_a_slice_takes() -> None:
    assert expected_s(history(), Start(2), []) == 0.0
    trials = history((4, 0.5), (0, 0.0)).resumed(1, until=2)
    slow = trials.observed(1, (Observation(at=2, value=0.5),), seconds=2.0)
    assert expected_s(slow, Resume(0, 6), [4.0, 8.0]) == 2.0
    assert expected_s(slow, Resume(1, 6), [4.0, 8.0]) == 16.0
    assert expected_s(slow, Start(3), [4.0, 8.0]) == 6.0
    assert expected_s(trials, Resume(1, 2), [4.0, 0.0]) == 2.0


def test_what_takes_longer_than_the_time_left_is_left_out() -> None:
    trials = history((4, 0.5), (5, 0.4), (8, 0.3), (0, 0.0))
    seconds = [4.0, 50.0, 80.0, 0.0]  # a unit takes 1, 10 and 10 seconds; in the mean, 134 / 17
    for left_s, paused in ((29.0, (0, 2, 3)), (20.0, (0, 2)), (19.0, (0,)), (2.0, ())):
        assert without_longer(trials, Resume(1, 8), seconds, left_s=left_s).paused() == paused
    assert without_longer(trials, Start(3), seconds, left_s=29.0).paused() == (0, 2, 3)
    assert without_longer(trials, Start(3), seconds, left_s=31.0).paused() == (0, 1, 2, 3)


def test_a_slice_that_hangs_does_not_take_the_time_that_is_kept() -> None:
    trials = history((2, 0.4), (2, 0.5))
    kept = kept_s(trials, Start(1))
    assert kept == pytest.approx(8 * SLACK)  # the defaults are the best as well
    assert kept_s(trials, Resume(1, 4)) == kept
    assert kept_s(trials, Resume(0, 4)) == 0.0


def test_no_time_is_kept_for_what_trains_now() -> None:
    trials = history((2, 0.4), (2, 0.5)).resumed(0, until=4)
    assert kept_s(trials, Start(1)) == 0.0


def test_the_share_of_a_training_that_a_slice_is() -> None:
    trials = history((4, 0.5))
    assert share_of(trials, Start(2)) == 0.2
    assert share_of(trials, Resume(0, 10)) == 0.6


@pytest.mark.parametrize(
    ("share", "left_s", "patience"),
    [
        (0.04, 1000.0, 250.0),
        (0.5, 1000.0, 500.0),
        (1.0, 1000.0, 1000.0),  # a whole training has all the time there is
        (1.0, 10.0, 30.0),
        (0.04, math.inf, 3600.0),  # what hangs ends all the same
        (1.0, math.inf, 14_400.0),
    ],
)
def test_a_slice_of_which_nothing_is_known_has_time_by_its_size(
    share: float, left_s: float, patience: float
) -> None:
    assert patience_s(0.0, left_s, share=share) == patience


def test_what_is_known_of_a_slice_decides_whatever_its_size() -> None:
    for share in (0.04, 1.0):
        assert patience_s(10.0, math.inf, share=share) == 100.0
        assert patience_s(1.0, 1000.0, share=share) == 30.0


def done(begin: int, end: int, seconds: float) -> SliceDone:
    return SliceDone(trial="0", begin=begin, end=end, seconds=seconds, checkpoint="", rows=())


def test_what_the_first_slice_of_a_process_takes_is_no_sign_that_it_hangs() -> None:
    slices = [done(0, 1, 46.0), done(0, 1, 1.0), done(1, 21, 20.0)]
    assert preparing_s(slices) == 45.0
    assert preparing_s(slices[1:]) == preparing_s(slices[:1]) == preparing_s([]) == 0.0
    assert patience_s(1.0, 1000.0, share=0.04, preparing=45.0) > 46.0
    assert patience_s(20.0, 1000.0, share=0.04, preparing=45.0) == 200.0
