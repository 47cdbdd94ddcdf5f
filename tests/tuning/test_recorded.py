"""Tests of `tunesmith.tuning.recorded`."""

import math
import sys
from dataclasses import replace

from tunesmith.records.events import Event, SliceDone, Stored, TrialEnded, TrialStarted
from tunesmith.records.history import History as Past
from tunesmith.records.history import replay
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.recorded import (
    DROPPED,
    LARGEST,
    NOT_FINITE,
    ROWS,
    as_rows,
    none_trained,
    points,
    recall,
    resumptions,
)

DONE = SliceDone(
    trial="0", begin=0, end=4, seconds=3.0, checkpoint="4", rows=as_rows([0.5, 0.25], 0, 4)
)
EVENTS: tuple[Event, ...] = (
    TrialStarted(trial="0", config={"lr": 0.1}),
    TrialStarted(trial="1", config={"lr": 0.2}),
    DONE,
    TrialEnded(trial="1", reason="It ran out of memory."),
)


def after(*events: Event) -> Past:
    return replay(Stored(event=event, elapsed=0.0, phases={}) for event in events)


def sliced(*slices: tuple[int, int, float, float]) -> Past:
    """A search with slices of four units: trial, start, and when they began and were recorded."""
    return replay(
        Stored(
            event=replace(DONE, trial=str(n), begin=start, end=start + 4, seconds=told - began),
            elapsed=told,
            phases={},
        )
        for n, start, began, told in slices
    )


def test_one_worker_resumes_a_trial_after_slices_of_others() -> None:
    past = sliced((0, 0, 0, 1), (0, 4, 1, 2), (1, 0, 2, 3), (0, 8, 3, 4), (1, 4, 4, 5))
    assert resumptions(past) == {0: (8,), 1: (4,)}


def test_a_trial_that_trains_on_beside_others_was_never_paused() -> None:
    past = sliced((0, 0, 0, 2), (1, 0, 0, 3), (0, 4, 2, 4), (1, 4, 3, 5), (0, 8, 4, 6))
    assert resumptions(past) == {}
    past = sliced((0, 0, 0, 2), (1, 0, 0, 3), (2, 0, 2, 4), (0, 4, 3, 5), (1, 4, 4, 6))
    assert resumptions(past) == {0: (4,), 1: (4,)}


def test_what_a_slice_measured() -> None:
    assert points(DONE, sign=-1) == (
        Observation(at=2, value=-0.5),
        Observation(at=4, value=-0.25),
    )


def test_values_so_large_that_they_would_overflow_are_bounded() -> None:
    values = [sys.float_info.max, -sys.float_info.max, 1e99, math.inf]
    done = replace(DONE, rows=as_rows(values, 0, 4))
    assert [point.value for point in points(done, sign=-1)] == [-LARGEST, LARGEST, -1e99, -math.inf]
    unknown = replace(DONE, rows=as_rows([math.nan], 0, 4))
    assert math.isnan(points(unknown, sign=1)[0].value)


def test_a_search_goes_on_from_its_journal() -> None:
    past = after(*EVENTS)
    recalled = recall(past, horizon=10, sign=1, is_timed=True)
    first = Trial(config={"lr": 0.1}, curve=points(DONE, sign=1), seconds=3.0, latest_s=0.75)
    second = Trial(config={"lr": 0.2}, failed="It ran out of memory.")
    assert recalled == History(horizon=10, trials=(first, second))
    untimed = recall(past, horizon=10, sign=1, is_timed=False)
    assert (untimed.trials[0].seconds, untimed.trials[0].latest_s) == (4.0, 1.0)


def test_a_crash_after_a_value_that_is_not_finite_does_not_save_the_trial() -> None:
    broken = replace(DONE, rows=as_rows([math.nan], 0, 4))
    past = after(EVENTS[0], broken)
    assert recall(past, horizon=10, sign=1, is_timed=True).trials[0].failed == NOT_FINITE


def test_a_trial_that_was_given_up_is_known_and_has_not_failed() -> None:
    past = after(EVENTS[0], DONE, TrialEnded(trial="0", reason=DROPPED))
    recalled = recall(past, horizon=10, sign=1, is_timed=True)
    curve = points(DONE, sign=1)
    first = Trial(config={"lr": 0.1}, curve=curve, seconds=3.0, latest_s=0.75, is_dropped=True)
    assert recalled == History(horizon=10, trials=(first,))
    assert recalled.paused() == ()


def test_a_search_whose_trials_ended_untrained_never_began() -> None:
    started, failed = EVENTS[1], EVENTS[3]
    assert none_trained(after(started, failed))
    assert none_trained(after(EVENTS[0], started, failed))  # the other one was under way
    assert not none_trained(after())
    assert not none_trained(after(started))
    assert not none_trained(after(*EVENTS))


def test_of_many_values_some_are_kept_and_the_last_one() -> None:
    values = [1 / n for n in range(1, 4001)]
    rows = as_rows(values, 4000, 8000)
    assert [row["at"] for row in rows] == [*range(4040, 8001, 40)]
    assert rows[-1]["value"] == values[-1]
    assert len(as_rows(values[:ROWS], 0, ROWS)) == ROWS
    assert len(as_rows(values[: ROWS + 1], 0, ROWS + 1)) == ROWS // 2 + 1
    values[17] = math.nan
    assert len(as_rows(values, 0, 4000)) == ROWS + 1
