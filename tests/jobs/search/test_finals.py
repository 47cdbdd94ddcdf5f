"""Tests of `tunesmith.jobs.search.finals`; test_search.py holds one of a whole run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.search.conftest import SEARCH

from tunesmith.core.errors import RunFolderError
from tunesmith.execution.executor import Inline
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.stored import read_checkpoint
from tunesmith.jobs.search import finals, slices
from tunesmith.jobs.search.finals import (
    COOLED,
    RESULT,
    Finals,
    finalists,
    hold_finals,
    judge,
)
from tunesmith.jobs.search.slices import COOLING, STATE, TRIALS, cool, cooling, train
from tunesmith.jobs.search.workers import processes
from tunesmith.plan import UNITS
from tunesmith.records.journal import read_history
from tunesmith.tuning.failures import outage
from tunesmith.tuning.folders import at_unit
from tunesmith.tuning.protocols import History, Observation
from tunesmith.tuning.search import Search
from tunesmith.tuning.tuner import Tuner

RATES = 0.05, 0.2, 1e-6, 0.1  # of trials 0 to 3: one of them learns next to nothing


@pytest.fixture(scope="module")
def history(folder: Path) -> History:
    """A search of four trials, trained for a unit each, but for the one that learned nothing."""
    history = History(horizon=UNITS)
    for number, rate in enumerate(RATES):
        at, config = 2 if number == 2 else 1, {"train.lr": rate}
        part = at_unit(folder / TRIALS, number, at)
        part.mkdir(parents=True)
        # By luck, that one seemed to be the best.
        value = train(config, part, 0, at) if number != 2 else 0.99
        if number == 2:
            train(config, part, 0, at)
        curve = (Observation(at=at, value=-value),)
        history = history.started(config, until=at).observed(number, curve, seconds=0.1)
    return history


@pytest.fixture
def copy(folder: Path, history: History, tmp_path: Path) -> Path:
    """A copy of the search's folder, to hold finals in."""
    return shutil.copytree(folder, tmp_path / "search")


@pytest.fixture
def session(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> Iterator[Session]:
    (tmp_path / "run").mkdir()
    with session_in(tmp_path / "run", budget="1h") as opened:
        yield opened


def held(
    session: Session,
    candidate: Candidate,
    history: History,
    copy: Path,
    *,
    search: Search = SEARCH,
    **options: Any,
) -> Finals | None:
    given: dict[str, Any] = {"executor": lambda _: Inline(), "workers": 1}
    given |= {"spent_s": 10.0, "ends_at": 3600.0}
    return hold_finals(session, candidate, search, history, folder=copy, **given | options)


def test_those_with_the_best_last_values_are_finalists_if_they_can_go_on(
    folder: Path, history: History
) -> None:
    first, second, third = finalists(history, folder / TRIALS)
    assert first == 2
    assert {second, third} == {1, 3}
    values = [history.trials[number].last for number in (second, third)]
    assert values == sorted(values)
    assert finalists(history.failed(2, "It diverged."), folder / TRIALS) == [second, third]
    assert finalists(history.dropped(second), folder / TRIALS) == [2, third]
    assert finalists(history, folder / "elsewhere") == []


def test_what_was_lucky_in_the_search_does_not_win_and_nothing_is_done_twice(
    session: Session,
    candidate: Candidate,
    history: History,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[tuple[int, int]] = []

    def spy(config: dict[str, Any], folder: Path, start: int, until: int) -> float:
        trained.append((config[slices.NUMBER], until))
        if len(trained) == COOLING + 2:
            session.interrupted.set()
        return cool(config, folder, start, until)

    monkeypatch.setattr(slices, "cool", spy)
    assert held(session, candidate, history, copy) is None
    session.interrupted.clear()
    found = held(session, candidate, history, copy)
    assert found is not None
    order = finalists(history, copy / TRIALS)
    assert trained == [(number, until) for number in order for until in range(1, COOLING + 1)]
    assert list(found.losses) == order
    assert found.best != 2
    assert found.losses[2] == max(found.losses.values())
    # All that it was measured on was seen by the search: there are few images, and folds.
    assert (found.unseen, found.compared) == (0, 1)
    # No time is left, and none is needed.
    assert held(session, candidate, history, copy, ends_at=0.0) == found
    (place,) = copy.glob(f"{COOLED}-*")
    (place / RESULT).write_text("[")
    assert held(session, candidate, history, copy, ends_at=0.0) is None, "what is damaged is lost"
    assert not any(path.is_dir() for path in place.iterdir()), "weights are gone"
    assert read_history(place).elapsed > 10.0  # counted on from the search
    # A search that went on has other finalists; these stay if it is interrupted.
    session.interrupted.set()
    assert held(session, candidate, history.failed(2, "It diverged."), copy) is None
    assert place.exists()
    session.interrupted.clear()
    assert held(session, candidate, history.failed(2, "It diverged."), copy) is not None
    assert not place.exists()


def test_worker_processes_find_the_same(
    session: Session, candidate: Candidate, history: History, copy: Path
) -> None:
    there = shutil.copytree(copy, copy.with_name("again"))
    here = held(session, candidate, history, copy)

    def two(workers: int) -> Any:
        return processes(workers, there, memory_share=0.8)

    found = held(session, candidate, history, there, executor=two, workers=2)
    assert found is not None
    assert here is not None
    assert found.losses == pytest.approx(here.losses, rel=0.05)


def test_they_are_compared_by_what_the_metric_counts_on_images_that_none_was_trained_on(
    candidate: Candidate, history: History, folder: Path, tmp_path: Path
) -> None:
    at, config = history.trials[1].at, history.trials[1].config
    begun = tmp_path / TRIALS
    shutil.copytree(folder / "data", tmp_path / "data")
    shutil.copytree(at_unit(folder / TRIALS, 1, at), at_unit(begun, 1, at))
    path = tmp_path / "cooled" / "0000" / "part"
    path.mkdir(parents=True)
    cool(cooling(config, 1, at), path, 0, COOLING)
    held_N = candidate.prepared.without_fold(0)[1]
    x_NCHW, y_N = candidate.prepared.part(held_N)
    weights = read_checkpoint(path / STATE).average
    found = judge(candidate, history, {1: path}, metric="accuracy")
    assert found.losses[1] == pytest.approx(candidate.validate(x_NCHW, y_N)(weights)["log_loss"])
    assert found.images == len(held_N)
    # Without folds, the selection set takes part; the metric weighs its classes.
    split = replace(candidate.prepared.split, folds=None, validation=held_N, selection=held_N[:30])
    whole = replace(candidate, prepared=replace(candidate.prepared, split=split))
    more = judge(whole, history, {1: path}, metric="accuracy")
    assert (more.images, more.unseen) == (len(held_N) + 30, 30)
    alike = judge(whole, history, {1: path}, metric="balanced_accuracy")
    assert alike.losses != more.losses


@pytest.mark.parametrize("dropped", [(1, 2), (1, 2, 3)])
def test_of_one_finalist_or_none_nothing_is_trained(
    session: Session,
    candidate: Candidate,
    history: History,
    copy: Path,
    dropped: tuple[int, ...],
) -> None:
    for number in dropped:
        history = history.dropped(number)

    def none(_: int) -> Inline:
        raise AssertionError

    assert held(session, candidate, history, copy, executor=none) is None
    assert not list(copy.glob(f"{COOLED}-*"))


def test_a_finalist_whose_state_is_lost_is_left_out(
    session: Session, candidate: Candidate, history: History, copy: Path
) -> None:
    def lost(*_: Any, **__: Any) -> Finals:
        raise KeyboardInterrupt  # killed before they were compared

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finals, "judge", lost)
        with pytest.raises(KeyboardInterrupt):
            held(session, candidate, history, copy)
    (place,) = copy.glob(f"{COOLED}-*")
    shutil.rmtree(place / "0001")
    found = held(session, candidate, history, copy, ends_at=0.0)
    assert found is not None
    order = finalists(history, copy / TRIALS)
    assert list(found.losses) == [order[0], order[2]]


def test_where_nothing_can_be_written_that_is_told(
    session: Session, candidate: Candidate, history: History, copy: Path
) -> None:
    numbers = finalists(history, copy / TRIALS)
    (copy / (COOLED + "".join(f"-{n}.{history.trials[n].at}" for n in numbers))).touch()
    with pytest.raises(RunFolderError, match="is a file, and a folder is needed"):
        held(session, candidate, history, copy)


def test_if_all_fail_the_run_goes_on_and_says_why(
    session: Session,
    candidate: Candidate,
    history: History,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> float:
        raise MemoryError

    monkeypatch.setattr(slices, "cool", full)
    assert held(session, candidate, history, copy) is None
    (note,) = session.journal.history.notes
    assert note.startswith("The best settings were not compared: ")


def test_if_nothing_works_any_more_the_run_goes_on_by_itself(
    session: Session,
    candidate: Candidate,
    history: History,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(_: Tuner) -> str:
        raise outage(["It was lost."], Path("error.txt"))

    monkeypatch.setattr(Tuner, "run", lost)
    assert held(session, candidate, history, copy) is None
    (note,) = session.journal.history.notes
    assert note.startswith("The best settings were not compared: ")
    assert note.endswith("It was lost. error.txt says where it happened.")


def test_finalists_count_as_compared_only_on_images_that_the_search_never_saw() -> None:
    losses = {4: 0.5, 2: 0.4, 9: 0.6}
    assert Finals(losses=losses, images=100, unseen=0).compared == 1
    among = Finals(losses=losses, images=100, unseen=40)
    assert (among.compared, among.best) == (3, 2)
