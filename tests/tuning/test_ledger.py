"""Tests of `tunesmith.tuning.ledger`; test_tuner.py runs whole searches by it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.execution.executor import Outcome
from tunesmith.jobs.search.search_setup import forget_failures
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.protocols import History
from tunesmith.tuning.recorded import DROPPED, NOT_FINITE, recall
from tunesmith.tuning.running import Running
from tunesmith.tuning.timing import best_trial

HORIZON = 8
DONE = Outcome(key="0", value=[0.5], seconds=3.0)


def make(folder: Path, journal: Journal) -> Ledger:
    return Ledger(
        folder / "trials",
        journal=journal,
        clock=Clock(budget=10.0, now=lambda: 0.0),
        horizon=HORIZON,
        sign=-1,
        is_timed=True,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a search with a trial that has paused, and one that was trained to the end."""
    with Journal(tmp_path) as journal:
        made = make(tmp_path, journal)
        for until in (4, HORIZON):
            train(made, made.start({"lr": 0.1}, until=until), until)
        yield made


def open_slice(ledger: Ledger, number: int, until: int) -> Running:
    start = ledger.history.trials[number].at
    running = ledger.opened(number, start=start, until=until, is_cut=False)
    (running.folder / "state").write_text("x" * until)
    return running


def train(ledger: Ledger, number: int, until: int) -> None:
    running = open_slice(ledger, number, until)
    ledger.take(running, running.done(replace(DONE, key=str(number))))


def recalled(ledger: Ledger, *, is_timed: bool = True) -> History:
    """The trials as the journal has them."""
    return recall(ledger.past, horizon=HORIZON, sign=-1, is_timed=is_timed)


def kept(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("trials/*/*"))


def test_what_the_journal_says_is_what_was_known(ledger: Ledger, tmp_path: Path) -> None:
    ledger.go_on(0, until=6)
    assert ledger.history.trials[0].until == 6
    train(ledger, 0, 6)
    first = ledger.history.trials[0]
    assert (first.at, first.last, first.seconds, first.until) == (6, -0.5, 6.0, None)
    assert ledger.sizes == {0: 6, 1: 8}
    assert (ledger.left_by(0) / "state").read_text() == "x" * 6
    assert kept(tmp_path) == ["trials/0000/00000006", "trials/0001/00000008"]
    assert recalled(ledger) == ledger.history
    assert recalled(ledger, is_timed=False).trials[0].seconds == 6.0
    assert ledger.seconds == [6.0, 3.0]
    assert read_history(tmp_path) == ledger.past


def test_what_a_slice_takes_beside_its_training_is_measured(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        ledger = make(tmp_path, journal)
        ledger.start({"lr": 0.1}, until=4)
        running = open_slice(ledger, 0, 4)
        assert ledger.beside_s == 0.0
        # The clock stands still: it began 7 seconds ago, and trained for 3 of them.
        ledger.take(replace(running, began_s=running.began_s - 7.0), running.done(DONE))
        assert ledger.beside_s == 1.0  # for each of four units


def test_a_new_process_goes_on_from_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        before = make(tmp_path, journal)
        train(before, before.start({"lr": 0.1}, until=4), 4)
        open_slice(before, 0, 6)
    with Journal(tmp_path) as journal:
        after = make(tmp_path, journal)
    assert (after.history, after.sizes) == (before.history, before.sizes)
    assert kept(tmp_path) == ["trials/0000/00000004"]


def test_a_slice_that_came_to_nothing_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    before, there = ledger.history, kept(tmp_path)
    ledger.go_on(0, until=6)
    ledger.put_back(open_slice(ledger, 0, 6))
    assert (ledger.history, kept(tmp_path)) == (before, there)


def test_a_trial_that_rests_may_go_on_another_time(ledger: Ledger, tmp_path: Path) -> None:
    there = kept(tmp_path)
    ledger.set_aside(0, "It hung.")
    assert ledger.history.paused() == ()
    assert ledger.history.trials[0].failed == "It hung."
    assert recalled(ledger).paused() == (0,)
    assert kept(tmp_path) == there


def test_a_trial_that_has_failed_leaves_why_and_where_it_was_before(
    ledger: Ledger, tmp_path: Path
) -> None:
    there = kept(tmp_path)
    ledger.go_on(0, until=6)
    open_slice(ledger, 0, 6)
    ledger.end(0, "It hung.")
    ledger.explain(0, "It hung here.")
    assert recalled(ledger) == ledger.history
    assert ledger.sizes == {0: 4, 1: 8}
    assert kept(tmp_path) == [there[0], "trials/0000/error.txt", there[1]]
    assert make_again(tmp_path, ledger) == ledger.sizes
    assert kept(tmp_path) == [there[0], "trials/0000/error.txt", there[1]]


def test_one_that_was_never_trained_leaves_why_alone(ledger: Ledger, tmp_path: Path) -> None:
    there, number = kept(tmp_path), ledger.start({"lr": 0.2}, until=4)
    open_slice(ledger, number, 4)
    ledger.end(number, "It hung.")
    assert ledger.explain(number, "It hung here.").read_text() == "It hung here."
    assert recalled(ledger) == ledger.history
    assert ledger.past.trials["2"].ended == "It hung."
    assert number not in ledger.sizes
    assert kept(tmp_path) == [*there, "trials/0002/error.txt"]


@pytest.mark.parametrize(
    ("reasons", "is_left"),
    [
        (("No disk 1.", "No disk 2."), True),
        (("No disk.", "It hung."), False),
        ((NOT_FINITE, NOT_FINITE), False),
        (("No disk.",), False),
    ],
)
def test_trials_that_all_failed_in_one_place_go_on(
    reasons: tuple[str, ...], is_left: bool, tmp_path: Path
) -> None:
    with Journal(tmp_path) as journal:
        before = make(tmp_path, journal)
        for _ in range(2):
            train(before, before.start({"lr": 0.1}, until=4), 4)
        before.start({"lr": 0.2}, until=4)  # what never trained decides nothing
        for number, reason in enumerate(reasons):
            before.end(number, reason)
        assert make(tmp_path, journal).history.paused()[-1:] == (2,)
        assert 0 not in make(tmp_path, journal).history.paused()
        forget_failures(journal, tmp_path / "trials")
        after = make(tmp_path, journal)
        assert (after.history.paused() == (0, 1, 2)) == is_left
        folders = tmp_path / "trials"
        shutil.rmtree(folders / "0001")
        for number, reason in enumerate(reasons):
            after.end(number, reason)
        forget_failures(journal, folders)
        assert 1 not in make(tmp_path, journal).history.paused()


def make_again(folder: Path, ledger: Ledger) -> dict[int, int]:
    """Sizes that another process would find."""
    return make(folder, ledger._journal).sizes


def test_of_what_makes_room_only_what_could_have_gone_on_is_given_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    assert ledger.make_room([1, 0]) == [0]
    assert [trial.is_dropped for trial in ledger.history.trials] == [True, False]
    assert [ledger.past.trials[name].ended for name in "01"] == [DROPPED, None]
    assert (ledger.sizes, kept(tmp_path)) == ({}, [])


def test_what_is_half_done_is_removed(ledger: Ledger, tmp_path: Path) -> None:
    there = kept(tmp_path)
    open_slice(ledger, 1, HORIZON)
    ledger.tidy(1)
    assert kept(tmp_path) == there
    number = ledger.start({"lr": 0.2}, until=4)
    ledger.end(number, "It hung.")
    ledger.opened(number, start=0, until=4, is_cut=False)
    ledger.tidy(number)
    assert kept(tmp_path) == there


def test_the_same_is_noted_once(ledger: Ledger) -> None:
    assert ledger.note("It is slow.")
    assert not ledger.note("It is slow.")
    assert ledger.past.notes == ("It is slow.",)


def test_a_trial_whose_folder_was_removed_neither_goes_on_nor_is_the_result(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path) as journal:
        ledger = make(tmp_path, journal)
        for until in (4, HORIZON, 4):
            train(ledger, ledger.start({"lr": 0.1}, until=until), until)
        shutil.rmtree(ledger.left_by(0))
        shutil.rmtree(ledger.left_by(1))
        again = make(tmp_path, journal)
        assert again.history.paused() == (2,)
        assert best_trial(again.history) == 2
        first, second, _ = again.history.trials
        assert first.failed is not None
        assert "0000/00000004 any more" in first.failed
        assert second.failed is None  # its values count as ever
        assert recalled(ledger) == ledger.history


def test_a_search_that_starts_over_says_nothing_of_failures_before(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        ledger = make(tmp_path, journal)
        train(ledger, ledger.start({"lr": 0.1}, until=4), 4)
        where = ledger.explain(0, "A line that was mended since.")
        forget_failures(journal, tmp_path / "trials")
        assert where.exists()
        journal.forget()
        forget_failures(journal, tmp_path / "trials")
        assert not where.exists()
