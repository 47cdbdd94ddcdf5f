"""Tests of `tunesmith.jobs.search.workers`; the searches themselves run in this process."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import final

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.functions import load_function
from tunesmith.core.space import Choice, Field
from tunesmith.execution.executor import Failure, Inline, Outcome, Task
from tunesmith.jobs.search.tune_space import space_for
from tunesmith.jobs.search.workers import choose_workers, chosen_workers, compared
from tunesmith.records.events import SliceDone, WorkersChosen
from tunesmith.records.history import History, TrialHistory
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.random_sampler import QuasiRandomSampler
from tunesmith.tuning.rounds import Rounds
from tunesmith.tuning.search import Search
from tunesmith.tuning.tuner import Tuner

TRAININGS = Path(__file__).parents[2] / "tuning" / "trainings.py"
ONCE_S = 50.0  # that the first slice of a process takes longer
SEARCH = Search(
    function=f"{TRAININGS}:falls",
    space=space_for(load_function(f"{TRAININGS}:falls"), None),
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
    """Runs slices in this process, and says that they took as long as so many processes need.

    Args:
        workers: How many there are.
        seconds: That a slice takes.
        failure: How each slice of trial 2 fails; empty if it does not.
    """

    def __init__(self, workers: int, seconds: float, failure: Failure = "") -> None:
        self.workers, self._seconds, self._inline = workers, seconds, Inline()
        self._failure: Failure = failure
        self._cold = workers  # processes that have run nothing yet

    def submit(self, task: Task) -> None:
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        if outcome is None:
            return None
        once, self._cold = (ONCE_S, self._cold - 1) if self._cold else (0.0, 0)
        if self._failure and outcome.key == "2":
            return replace(outcome, value=None, failed="It was lost.", failure=self._failure)
        return replace(outcome, seconds=self._seconds + once)

    def cancel(self) -> None:
        self._inline.cancel()


def choose(
    folder: Path,
    seconds: dict[int, float],
    *,
    search: Search = SEARCH,
    most: int = 3,
    interrupted: bool = False,
    failures: Mapping[int, Failure] | None = None,
) -> tuple[int, list[int]]:
    """How many processes were chosen, and with how many slices were trained.

    What was chosen is told, if it is recorded, and nothing else.

    Args:
        folder: Of the search.
        seconds: That a slice takes, by how many processes there are.
        search: What is searched.
        most: Processes at most.
        interrupted: Whether the user interrupted the search.
        failures: How slices of trial 2 fail, by how many processes there are.
    """
    used, said, stop = list[int](), list[str](), threading.Event()
    if interrupted:
        stop.set()
    folder.mkdir(exist_ok=True)
    with Journal(folder) as journal:
        clock = Clock(budget=1e6, now=lambda: 0.0)

        def tuner(what: Search, workers: int) -> Tuner:
            used.append(workers)
            return Tuner(
                what,
                folder=folder / "trials",
                executor=Pretending(workers, seconds[workers], (failures or {}).get(workers, "")),
                clock=clock,
                journal=journal,
                say=lambda _: None,
                interrupted=stop,
            )

        chosen = choose_workers(search, most, tuner, journal=journal, clock=clock, say=said.append)
        past = journal.history.workers
        assert said == ([] if past is None else [past.reason])
        return chosen, used


@pytest.mark.parametrize(("seconds", "workers"), [(2.6, 3), (2.8, 1), (3.1, 1)])
def test_each_trial_is_compared_with_itself(tmp_path: Path, seconds: float, workers: int) -> None:
    assert choose(tmp_path, {1: 1.0, 3: seconds}) == (workers, [1, 3])
    past = read_history(tmp_path)
    ends = [[done.end for done in trial.slices] for trial in past.trials.values()]
    assert ends == [[2, 4, 6, 8]] * 3
    assert past.workers is not None
    assert f"3 processes were {3 / seconds:.2f} times as fast" in past.workers.reason
    # Whatever would be measured now, it stays so.
    assert choose(tmp_path, {}) == (workers, [])


def test_one_process_searches_where_nothing_is_timed_or_measured(tmp_path: Path) -> None:
    assert choose(tmp_path / "units", {}, search=replace(SEARCH, units=100)) == (1, [])
    assert choose(tmp_path / "core", {}, most=1) == (1, [])
    assert choose(tmp_path / "few", {}, search=replace(SEARCH, trials=1)) == (1, [])
    assert read_history(tmp_path / "few").workers is None


def test_there_are_no_more_processes_than_trials(tmp_path: Path) -> None:
    few = replace(SEARCH, trials=2)
    assert choose(tmp_path, {1: 1.0, 2: 1.0}, search=few) == (2, [1, 2])
    chosen = read_history(tmp_path).workers
    assert chosen is not None
    assert "chose 2 processes: 2 processes were 2.00 times as fast" in chosen.reason


@pytest.mark.parametrize("block", [7, 24])
def test_where_a_trial_has_fewer_blocks_there_are_as_many_as_may_be(
    block: int, tmp_path: Path
) -> None:
    assert choose(tmp_path, {}, search=replace(SEARCH, block=block)) == (3, [])
    chosen = read_history(tmp_path).workers
    assert chosen is not None
    assert chosen.workers == 3
    assert "chose 3 processes: that was not measured, since a trial is " in chosen.reason


def test_a_trial_that_fails_is_no_measure(tmp_path: Path) -> None:
    search = replace(SEARCH, function=f"{TRAININGS}:breaks_where_bad")
    assert choose(tmp_path, {1: 1.0, 3: 2.0}, search=search) == (3, [1, 3])
    failed = [trial for trial in read_history(tmp_path).trials.values() if trial.ended]
    assert failed
    assert all(not trial.slices for trial in failed)


@pytest.mark.parametrize("failure", ["memory", "killed", "ended"])
def test_where_one_of_several_may_have_too_little_memory_one_searches_and_no_trial_has_failed(
    failure: Failure, tmp_path: Path
) -> None:
    assert choose(tmp_path, {1: 1.0, 3: 1.0}, failures={3: failure}) == (1, [1, 3])
    past = read_history(tmp_path)
    assert past.workers is not None
    assert past.workers.reason == (
        "`--workers auto` chose 1 process: 3 processes do not seem to have enough memory each (It "
        "was lost)."
    )
    assert [trial.ended for trial in past.trials.values()] == [None] * 3
    assert past.trials["2"].seen == 4
    assert choose(tmp_path, {}) == (1, [])


@pytest.mark.parametrize("failures", [{1: "memory"}, {3: "raised"}, {3: "silent"}])
def test_what_fails_otherwise_or_alone_costs_its_trial_alone(
    failures: Mapping[int, Failure], tmp_path: Path
) -> None:
    chosen, used = choose(tmp_path, {1: 1.0, 3: 1.5}, failures=failures)
    assert (chosen, used) == (3, [1, 3])
    ended = [name for name, trial in read_history(tmp_path).trials.items() if trial.ended]
    assert ended == ["2"]


def test_trials_that_remain_are_compared_where_others_fail_beside_them(tmp_path: Path) -> None:
    search = replace(SEARCH, function=f"{TRAININGS}:breaks_after_four_units_where_bad")
    assert choose(tmp_path, {1: 1.0, 3: 2.0}, search=search) == (3, [1, 3])
    past = read_history(tmp_path)
    begun = [*past.trials.values()][:3]
    whole = sum(trial.seen == 8 for trial in begun)
    assert 0 < whole < len([trial for trial in begun if trial.seen >= 4]) == 3
    assert past.workers is not None
    assert (
        f"1.50 times as fast as one that has all cores, measured on blocks of {whole} new tr"
        in (past.workers.reason)
    )


def test_there_are_no_more_processes_than_configs(tmp_path: Path) -> None:
    search = replace(SEARCH, space={"kind": Field(Choice("good", "bad"), "good")})
    assert choose(tmp_path / "a", {1: 1.0, 2: 1.5}, search=search) == (2, [1, 2])
    past = read_history(tmp_path / "a").workers
    assert past is not None
    assert "chose 2 processes: 2 processes were 1.33 times as fast" in past.reason
    broken = replace(search, function=f"{TRAININGS}:breaks_later_where_bad")
    assert choose(tmp_path / "b", {1: 1.0}, search=broken) == (1, [1, 1])
    assert choose(tmp_path / "b", {}, search=broken) == (1, [])


def test_what_was_interrupted_is_measured_the_next_time(tmp_path: Path) -> None:
    assert choose(tmp_path, {1: 1.0}, interrupted=True) == (1, [1, 1])
    assert read_history(tmp_path).workers is None
    assert choose(tmp_path, {1: 1.0, 3: 2.0}) == (3, [1, 3])


def test_what_an_earlier_session_trained_is_no_measure(tmp_path: Path) -> None:
    """It may have been trained by other processes, or on another machine."""
    with Journal(tmp_path) as journal:
        Tuner(
            replace(SEARCH, scheduler=Rounds(trials=2, block=2, until=8)),
            folder=tmp_path / "trials",
            executor=Pretending(1, 100.0),
            clock=Clock(budget=1e6, now=lambda: 0.0),
            journal=journal,
            say=lambda _: None,
            interrupted=threading.Event(),
        ).run()
    assert choose(tmp_path, {1: 1.0, 3: 1.0}) == (3, [1, 3])
    past = read_history(tmp_path)
    assert len(past.trials) == 5
    assert past.workers is not None
    assert "3.00 times as fast" in past.workers.reason


def trained(*seconds: float, ended: str | None = None) -> TrialHistory:
    """A trial with slices of two units that took so long."""
    slices = tuple(
        SliceDone(trial="0", begin=2 * n, end=2 * n + 2, seconds=s, checkpoint="", rows=())
        for n, s in enumerate(seconds)
    )
    return TrialHistory(config={}, slices=slices, ended=ended)


def test_trials_that_take_different_times_count_alike() -> None:
    chosen = compared([trained(99.0, 10.0, 99.0, 11.0), trained(99.0, 1.0, 99.0, 1.1)], 2, block=2)
    assert chosen.workers == 2
    assert "2 processes were 1.82 times as fast" in chosen.reason


def test_trials_that_are_not_whole_are_not_compared() -> None:
    whole, few = trained(9.0, 1.0, 9.0, 1.0), "`--workers auto` chose 1 process: too few new trials"
    for other in (trained(9.0, 5.0, 9.0), trained(9.0, 5.0, 9.0, 1.0, ended="It hung.")):
        assert "2 processes were 2.00 times" in compared([whole, other], 2, block=2).reason
        assert compared([other], 2, block=2).reason.startswith(few)
    assert compared([whole], 1, block=2).reason.startswith(few)
    assert compared([whole, whole], 2, block=1).reason.startswith(few)


def test_how_many_search_later_is_what_was_decided() -> None:
    past = History(workers=WorkersChosen(workers=3, reason="faster"))
    assert chosen_workers(None, past) == 3
    assert chosen_workers(2, past) == 2
