"""Tests of `tunesmith.tuning.trouble`; test_tuner.py runs whole searches in which slices fail."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.execution.executor import Outcome
from tunesmith.records.journal import Journal
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.recorded import NOT_FINITE
from tunesmith.tuning.running import Running
from tunesmith.tuning.trouble import MANY, Trouble

WHY = "It was lost."
LOST = Outcome(key="1", seconds=1.0, failed=WHY, failure="raised", details="where it was lost")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a search with some trials that were trained for 2 units of 8, and have paused."""
    with Journal(tmp_path) as journal:
        clock = Clock(budget=10.0, now=lambda: 0.0)
        made = Ledger(
            tmp_path / "trials", journal=journal, clock=clock, horizon=8, sign=1, is_timed=True
        )
        for _ in range(MANY + 1):
            number = made.start({"lr": 0.1}, until=2)
            running = made.opened(number, start=0, until=2, is_cut=False)
            outcome = Outcome(key=str(number), value=[0.5], seconds=1.0)
            made.take(running, running.done(outcome))
        yield made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def trouble(ledger: Ledger, said: list[str]) -> Trouble:
    return Trouble(ledger, said.append)


def going_on(ledger: Ledger, number: int) -> Running:
    """A trial's second slice."""
    ledger.go_on(number, until=4)
    return ledger.opened(number, start=2, until=4, is_cut=False)


def rest(trouble: Trouble, ledger: Ledger, number: int) -> None:
    """Let a trial fail twice in the same place."""
    for _ in range(2):
        trouble.failed(going_on(ledger, number), LOST)


def test_a_trial_that_had_trained_is_tried_once_more(
    trouble: Trouble, ledger: Ledger, said: list[str]
) -> None:
    before = ledger.history
    running = going_on(ledger, 1)
    trouble.failed(running, LOST)
    assert ledger.history == before
    assert trouble.is_doubted(1)
    assert said == [f"Trial 1 failed after 2 units, and is tried once more. {WHY}"]
    assert (ledger.left_by(1).parent / "error.txt").read_text() == "where it was lost"
    trouble.worked(1)
    assert not trouble.is_doubted(1)


def test_what_fails_when_time_is_over_is_told_and_counts_for_nothing(
    trouble: Trouble, ledger: Ledger
) -> None:
    before = ledger.history
    trouble.failed(going_on(ledger, 1), LOST, is_over=True)
    assert (ledger.history, trouble.doubts) == (before, [WHY])
    assert (ledger.left_by(1).parent / "error.txt").read_text() == "where it was lost"
    trouble.failed(going_on(ledger, 2), replace(LOST, failure="late"), is_over=True)
    assert (ledger.history, trouble.doubts) == (before, [WHY])
    assert not (ledger.left_by(2).parent / "error.txt").exists()
    assert not trouble.is_doubted(1)


def test_one_that_had_not_trained_is_not(trouble: Trouble, ledger: Ledger) -> None:
    number = ledger.start({"lr": 0.2}, until=2)
    running = ledger.opened(number, start=0, until=2, is_cut=False)
    trouble.failed(running, LOST)
    assert (trouble.is_doubted(number), trouble.again) == (False, None)
    assert ledger.past.trials[str(number)].ended == WHY


def test_a_value_that_is_not_finite_twice_is_the_trials_own(
    trouble: Trouble, ledger: Ledger
) -> None:
    done = Outcome(key="1", value=[math.nan], seconds=1.0)
    trouble.diverged(going_on(ledger, 1), done)
    assert trouble.is_doubted(1)
    trouble.diverged(going_on(ledger, 1), done)
    assert trouble.suspect is None
    assert ledger.history.trials[1].failure == "diverged"
    assert ledger.past.trials["1"].ended == NOT_FINITE
    assert ledger.past.trials["1"].seen == 2
    assert ledger.left_by(1).is_dir()


def test_what_fails_twice_in_one_place_has_failed_once_something_works(
    trouble: Trouble, ledger: Ledger, said: list[str]
) -> None:
    suspects = [trouble.suspect]
    rest(trouble, ledger, 1)
    suspects.append(trouble.suspect)
    assert said[-1] == f"Trial 1 failed after 2 units again. {WHY}"
    assert ledger.history.paused() == (0, 2, 3)
    assert ledger.suspended == {1}
    assert not ledger.past.trials["1"].ended
    assert ledger.left_by(1).is_dir()
    trouble.worked(0)
    assert [*suspects, trouble.suspect] == [None, 1, None]
    assert ledger.past.trials["1"].ended == WHY
    assert ledger.left_by(1).is_dir()
    assert ledger.suspended == set()
    assert all(ledger.past.trials[name].ended is None for name in "023")


def test_many_that_rest_are_none_of_their_faults_where_nothing_works(
    trouble: Trouble, ledger: Ledger
) -> None:
    for number in range(MANY):
        assert not trouble.is_large
        rest(trouble, ledger, number)
    assert trouble.is_large
    trouble.nothing_works(MANY, "one that does not rest proves nothing")
    with pytest.raises(
        SettingsError, match=r"3 trials that had trained .*It was lost\. .*error\.txt says.*again"
    ):
        trouble.nothing_works(0, "nor does the first slice work")
    assert all(trial.ended is None for trial in ledger.past.trials.values())
    assert all(ledger.left_by(number).is_dir() for number in range(MANY + 1))


def test_failures_of_different_places_do_not_add_up(trouble: Trouble, ledger: Ledger) -> None:
    trouble.failed(going_on(ledger, 1), LOST)
    trouble.worked(0)  # that another works does not make this one sound
    assert trouble.is_doubted(1)
    trouble.worked(1)
    trouble.failed(going_on(ledger, 1), LOST)
    assert trouble.suspect is None
