"""Tests of `tunesmith.tuning.table`: what a history knows of its trials at any time."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.table import Table

Step = Callable[[History], History]


def started(history: History) -> History:
    return history.started({"x": len(history.trials)}, until=2)


def observed(number: int, *values: float) -> Step:
    def step(history: History) -> History:
        at = history.trials[number].at
        curve = tuple(Observation(at=at + n, value=v) for n, v in enumerate(values, start=1))
        return history.observed(number, curve, seconds=1.5 * len(values))

    return step


STEPS: list[Step] = [
    started,
    started,
    observed(0, 3.0, 2.0),
    lambda history: history.resumed(0, until=6),
    observed(1, 5.0),
    lambda history: history.failed(1, "It diverged."),
    observed(0, 2.5, 1.0, 1.0, 1.5),
    started,
    lambda history: history.dropped(0),
    observed(2),
]


def histories() -> list[History]:
    found = [History(horizon=8)]
    for step in STEPS:
        _ = found[-1].table  # known of each, so that the next one is made of it
        found.append(step(found[-1]))
    return found


@pytest.mark.parametrize("history", histories())
def test_what_is_carried_on_is_what_would_be_read_anew(history: History) -> None:
    anew = Table.of([trial.row for trial in history.trials])
    assert np.array_equal(np.array(history.table), np.array(anew), equal_nan=True)


def test_a_history_is_not_changed_by_what_follows() -> None:
    before = started(started(History(horizon=8)))
    known = np.array(before.table)
    assert observed(0, 1.0)(before).table.best_N[0] == 1.0
    assert np.array_equal(np.array(before.table), known, equal_nan=True)


@given(st.lists(st.floats(0, 9), min_size=1, max_size=20), st.integers(1, 20))
def test_a_row_after_some_units_is_that_of_the_trial_as_it_was(
    values: list[float], at: int
) -> None:
    curve = tuple(Observation(at=n, value=v) for n, v in enumerate(values, start=1))
    trial = Trial(config={}, curve=curve, seconds=4.0)
    row, then = trial.row_after(at), trial.after(at).row
    names = ("at", "seconds", "best", "before", "after", "folds")
    assert [getattr(row, n) for n in names] == pytest.approx(
        [getattr(then, n) for n in names], nan_ok=True
    )
