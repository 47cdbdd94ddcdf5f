"""Tests of `tunesmith.tuning.suspended`; test_tuner.py runs whole searches in which slices fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.execution.executor import Outcome
from tunesmith.records.journal import Journal
from tunesmith.tuning.failures import OutageError
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.running import Running
from tunesmith.tuning.suspended import MANY, Suspended

WHY = "It was lost."
LOST = Outcome(key="1", seconds=1.0, failed=WHY, failure="raised")


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def ledger(tmp_path: Path, now: Now) -> Iterator[Ledger]:
    """Of a search whose trial 0 was trained for 2 units of 8; the next ones are new."""
    with Journal(tmp_path) as journal:
        clock = Clock(budget=100.0, now=now)
        made = Ledger(
            tmp_path / "trials", journal=journal, clock=clock, horizon=8, sign=1, is_timed=True
        )
        for number in range(2 * MANY):
            made.start({"lr": 0.1}, until=2)
            if not number:
                take(made, number)
        yield made


@pytest.fixture
def suspended(ledger: Ledger) -> Suspended:
    return Suspended(ledger)


def begun(ledger: Ledger, number: int) -> Running:
    return ledger.opened(number, start=0, until=2, is_cut=False)


def take(ledger: Ledger, number: int, *, seconds: float = 1.0) -> None:
    running = begun(ledger, number)
    ledger.take(running, running.done(Outcome(key=str(number), value=[0.5], seconds=seconds)))


def add(suspended: Suspended, *numbers: int) -> None:
    for number in numbers:
        suspended.add(number, LOST)


def ended(ledger: Ledger) -> list[int]:
    """Numbers of the trials that have failed by the journal."""
    return [int(name) for name, trial in ledger.past.trials.items() if trial.ended == WHY]


def test_what_begins_later_and_works_proves_that_trials_have_failed(
    suspended: Suspended, ledger: Ledger, now: Now
) -> None:
    early = begun(ledger, 5)
    now.seconds = 1.0
    add(suspended, 1)
    now.seconds = 2.0
    between = begun(ledger, 0)
    now.seconds = 3.0
    add(suspended, 2)
    suspended.worked(early)  # it may have read what is lost by now
    assert (ended(ledger), [*ledger.suspended]) == ([], [1, 2])
    suspended.worked(between)
    assert (ended(ledger), [*ledger.suspended]) == ([1], [2])
    suspended.worked(begun(ledger, 0))
    assert (ended(ledger), [*ledger.suspended]) == ([1, 2], [])


def test_many_failures_in_a_row_ask_for_a_probe_and_the_next_for_twice_as_many(
    suspended: Suspended, ledger: Ledger
) -> None:
    add(suspended, 1, 2)
    suspended.worked(begun(ledger, 0))
    add(suspended, 3, 4)
    assert suspended.witness(is_over=False) is None
    add(suspended, 5)
    assert suspended.witness(is_over=False) == 0
    suspended.something_works(begun(ledger, 0))
    assert ended(ledger) == [1, 2, 3, 4, 5]
    for _ in range(2 * MANY):
        assert suspended.witness(is_over=False) is None
        add(suspended, ledger.start({"lr": 0.1}, until=2))
    assert suspended.witness(is_over=False) == 0


def test_at_the_end_one_is_probed_for_only_if_it_had_trained(
    suspended: Suspended, ledger: Ledger
) -> None:
    add(suspended, 1)
    assert suspended.witness(is_over=True) is None
    add(suspended, 0)
    assert suspended.witness(is_over=False) is None
    assert suspended.witness(is_over=True) == 0


def test_what_runs_or_has_failed_is_no_probe(suspended: Suspended, ledger: Ledger) -> None:
    add(suspended, 1, 2, 3)
    ledger.go_on(0, until=4)
    assert suspended.witness(is_over=False) is None
    take(ledger, 4)
    assert suspended.witness(is_over=False) == 4
    ledger.end(4, WHY)
    assert suspended.witness(is_over=False) is None


def test_the_quickest_slice_is_run_again(suspended: Suspended, ledger: Ledger) -> None:
    take(ledger, 4, seconds=0.5)
    take(ledger, 5, seconds=2.0)
    add(suspended, 1, 2, 3)
    assert suspended.witness(is_over=False) == 4


def test_where_nothing_works_no_trial_has_failed(suspended: Suspended, ledger: Ledger) -> None:
    suspended.nothing_works(0, "if none is suspended, it may be this one's fault")
    add(suspended, 0, 1, 2)
    where = ledger.folder / "0000" / "error.txt"
    with pytest.raises(OutageError, match=f"^3 trials failed, and now .*: {WHY} {where} says"):
        suspended.nothing_works(0, "it was here")
    assert where.read_text() == "it was here"
    assert ended(ledger) == []
    assert ledger.left_by(0).is_dir()


@pytest.mark.parametrize(("failed", "settled"), [((0, 1), [1]), ((1, 2, 3), [])])
def test_at_the_end_few_new_ones_have_failed_and_many_are_tried_another_time(
    failed: tuple[int, ...], settled: list[int], suspended: Suspended, ledger: Ledger
) -> None:
    add(suspended, *failed)
    suspended.settle()
    assert ended(ledger) == settled


def test_a_probe_keeps_its_folder_where_its_trial_has_failed_meanwhile(
    suspended: Suspended, ledger: Ledger, now: Now
) -> None:
    add(suspended, 0)
    now.seconds = 1.0
    beside = begun(ledger, 1)
    now.seconds = 2.0
    add(suspended, 2, 3)
    assert suspended.witness(is_over=False) == 0
    probe = begun(ledger, 0)
    suspended.worked(beside)
    assert ended(ledger) == [0]
    assert probe.folder.is_dir()
    assert ledger.left_by(0).is_dir()
