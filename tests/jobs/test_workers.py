"""Tests of `tunesmith.jobs.workers`; the searches themselves run in this process."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import final

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.functions import load_function
from tunesmith.core.space import space_of
from tunesmith.execution.executor import Inline, Outcome, Task
from tunesmith.jobs.workers import choose_workers
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.random_sampler import QuasiRandomSampler
from tunesmith.tuning.tuner import Search, Tuner

TRAININGS = Path(__file__).parents[1] / "tuning" / "trainings.py"
SEARCH = Search(
    function=f"{TRAININGS}:falls",
    space=space_of(load_function(f"{TRAININGS}:Config")),
    horizon=24,
    sign=1,
    sampler=QuasiRandomSampler(),
    scheduler=FreezeThaw(),
    block=2,
    trials=None,
    units=None,
    seed=0,
)


@final
class Pretending:
    """Runs slices in this process, and says that they took as long as so many processes need."""

    def __init__(self, workers: int, seconds: float) -> None:
        self.workers, self._seconds, self._inline = workers, seconds, Inline()

    def submit(self, task: Task) -> None:
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        return outcome and replace(outcome, seconds=self._seconds)

    def cancel(self) -> None:
        self._inline.cancel()


def choose(
    folder: Path, seconds: dict[int, float], *, search: Search = SEARCH, most: int = 3
) -> tuple[int, list[int]]:
    """How many processes were chosen, and with how many slices were trained.

    Args:
        folder: Of the search.
        seconds: That a slice takes, by how many processes there are.
        search: What is searched.
        most: Processes at most.
    """
    used: list[int] = []
    folder.mkdir(exist_ok=True)
    with Journal(folder) as journal:
        clock = Clock(budget=100.0, now=lambda: 0.0)

        def tuner(what: Search, workers: int) -> Tuner:
            used.append(workers)
            return Tuner(
                what,
                folder=folder / "trials",
                executor=Pretending(workers, seconds[workers]),
                clock=clock,
                journal=journal,
                say=lambda _: None,
                interrupted=threading.Event(),
            )

        return choose_workers(search, most, tuner, journal=journal, clock=clock), used


@pytest.mark.parametrize(("seconds", "workers"), [(2.9, 3), (3.1, 1)])
def test_each_trial_is_compared_with_itself(tmp_path: Path, seconds: float, workers: int) -> None:
    assert choose(tmp_path, {1: 1.0, 3: seconds}) == (workers, [1, 3])
    past = read_history(tmp_path)
    assert [[done.end for done in trial.slices] for trial in past.trials.values()] == [[2, 4]] * 3
    assert past.workers is not None
    assert "3 processes were" in past.workers.reason
    # Whatever would be measured now, it stays so.
    assert choose(tmp_path, {}) == (workers, [])


def test_one_process_searches_where_nothing_is_timed_or_measured(tmp_path: Path) -> None:
    assert choose(tmp_path / "units", {}, search=replace(SEARCH, units=100)) == (1, [])
    assert choose(tmp_path / "whole", {}, search=replace(SEARCH, block=24)) == (3, [])
    assert choose(tmp_path / "core", {}, most=1) == (1, [])
    few = replace(SEARCH, trials=2)
    assert choose(tmp_path / "few", {1: 1.0, 3: 1.0}, search=few) == (1, [1, 3])
    assert read_history(tmp_path / "few").workers is None


def test_a_trial_that_fails_is_no_measure(tmp_path: Path) -> None:
    search = replace(SEARCH, function=f"{TRAININGS}:breaks_where_bad")
    assert choose(tmp_path, {1: 1.0, 3: 2.0}, search=search) == (3, [1, 3])
    failed = [trial for trial in read_history(tmp_path).trials.values() if trial.ended]
    assert failed
    assert all(not trial.slices for trial in failed)
