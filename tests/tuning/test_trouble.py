"""Tests of `tunesmith.tuning.trouble`; test_tuner.py runs whole searches in which slices fail."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.execution.executor import Failure, Outcome
from tunesmith.records.journal import Journal
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.recorded import NOT_FINITE
from tunesmith.tuning.running import Running
from tunesmith.tuning.suspended import Suspended
from tunesmith.tuning.trouble import Trouble

WHY = "It was lost."
LOST = Outcome(key="1", seconds=1.0, failed=WHY, failure="raised", details="where it was lost")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a search with two trials that were trained for 2 units of 8, and have paused."""
    with Journal(tmp_path) as journal:
        clock = Clock(budget=10.0, now=lambda: 0.0)
        made = Ledger(
            tmp_path / "trials", journal=journal, clock=clock, horizon=8, sign=1, is_timed=True
        )
        for _ in range(2):
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
    return Trouble(ledger, Suspended(ledger), said.append)


def going_on(ledger: Ledger, number: int) -> Running:
    """A trial's second slice."""
    ledger.go_on(number, until=4)
    return ledger.opened(number, start=2, until=4, is_cut=False)


def new(ledger: Ledger) -> Running:
    """The first slice of a new trial."""
    number = ledger.start({"lr": 0.2}, until=2)
    return ledger.opened(number, start=0, until=2, is_cut=False)


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
    trouble.worked(going_on(ledger, 1))
    assert not trouble.is_doubted(1)


def test_what_fails_when_time_is_over_is_told_and_counts_for_nothing(
    trouble: Trouble, ledger: Ledger
) -> None:
    before = ledger.history
    trouble.failed(going_on(ledger, 1), LOST, is_over=True)
    assert (ledger.history, trouble.doubts) == (before, [WHY])
    assert (ledger.left_by(1).parent / "error.txt").read_text() == "where it was lost"
    trouble.failed(going_on(ledger, 0), replace(LOST, failure="late"), is_over=True)
    assert (ledger.history, trouble.doubts) == (before, [WHY])
    assert not (ledger.left_by(0).parent / "error.txt").exists()
    assert not trouble.is_doubted(1)


def test_one_that_had_not_trained_is_not_but_what_it_needs_may_be_lost(
    trouble: Trouble, ledger: Ledger, said: list[str]
) -> None:
    trouble.failed(new(ledger), LOST)
    assert (trouble.is_doubted(2), trouble.again) == (False, None)
    assert said == [f"Trial 2 failed. {WHY}"]
    assert [*ledger.suspended] == [2]
    assert not ledger.past.trials["2"].ended
    assert not list((ledger.folder / "0002").glob("0*"))


@pytest.mark.parametrize("failure", ["limit", "diverged"])
def test_what_is_a_configs_own_is_known_at_once(
    failure: Failure, trouble: Trouble, ledger: Ledger
) -> None:
    if failure == "diverged":
        trouble.diverged(new(ledger), Outcome(key="2", value=[math.nan], seconds=1.0))
    else:
        trouble.failed(new(ledger), replace(LOST, failure=failure))
    assert ledger.past.trials["2"].failure == failure
    assert not ledger.suspended


def test_a_value_that_is_not_finite_twice_is_the_trials_own(
    trouble: Trouble, ledger: Ledger
) -> None:
    done = Outcome(key="1", value=[math.nan], seconds=1.0)
    trouble.diverged(going_on(ledger, 1), done)
    assert trouble.is_doubted(1)
    trouble.diverged(going_on(ledger, 1), done)
    assert not ledger.suspended
    assert ledger.history.trials[1].failure == "diverged"
    assert ledger.past.trials["1"].ended == NOT_FINITE
    assert ledger.past.trials["1"].seen == 2
    assert ledger.left_by(1).is_dir()


def test_what_fails_twice_in_one_place_counts_as_failed_for_now(
    trouble: Trouble, ledger: Ledger, said: list[str]
) -> None:
    for _ in range(2):
        trouble.failed(going_on(ledger, 1), LOST)
    assert said[-1] == f"Trial 1 failed after 2 units again. {WHY}"
    assert ledger.history.paused() == (0,)
    assert [*ledger.suspended] == [1]
    assert not ledger.past.trials["1"].ended
    assert ledger.left_by(1).is_dir()
    trouble.worked(going_on(ledger, 0))
    assert ledger.past.trials["1"].ended == WHY
    assert ledger.left_by(1).is_dir()


def test_failures_of_different_places_do_not_add_up(trouble: Trouble, ledger: Ledger) -> None:
    trouble.failed(going_on(ledger, 1), LOST)
    trouble.worked(going_on(ledger, 0))  # that another works does not make this one sound
    assert trouble.is_doubted(1)
    trouble.worked(going_on(ledger, 1))
    trouble.failed(going_on(ledger, 1), LOST)
    assert not ledger.suspended
