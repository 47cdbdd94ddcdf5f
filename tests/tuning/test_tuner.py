"""Tests of `tunesmith.tuning.tuner`; test_tune.py runs whole searches in processes."""

import itertools
import math
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, final

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import load_function
from tunesmith.execution.executor import Executor, Failure, Inline, Outcome, Task
from tunesmith.jobs.search.search_setup import forget_failures
from tunesmith.jobs.search.tune_space import space_for
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning import folders, tuner
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.failures import OutageError
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import (
    Decision,
    History,
    Observation,
    Resume,
    Scheduler,
    Start,
    Stop,
)
from tunesmith.tuning.recorded import recall
from tunesmith.tuning.rounds import Rounds
from tunesmith.tuning.search import DISK_BYTES, Search
from tunesmith.tuning.timing import best_trial
from tunesmith.tuning.tpe import TPE
from tunesmith.tuning.tuner import Tuner
from tunesmith.tuning.unread import _is_told

TRAININGS = Path(__file__).with_name("trainings.py")
HORIZON, BLOCK = 24, 2
SOON = 4  # units after which one may take longer
FEW_BYTES = 70.0  # as much as three of the functions' states take
SPACE = space_for(load_function(f"{TRAININGS}:falls"), None)


def search_of(
    function: str,
    *,
    scheduler: Scheduler,
    trials: int | None,
    units: int | None,
    sign: int = 1,
    reserves_time_to_finish: bool = True,
    disk_bytes: float = DISK_BYTES,
) -> Search:
    return Search(
        function=f"{TRAININGS}:{function}",
        space=SPACE,
        horizon=HORIZON,
        sign=sign,
        sampler=Portfolio([{}], then=TPE()),
        scheduler=scheduler,
        block=BLOCK,
        trials=trials,
        units=units,
        reserves_time_to_finish=reserves_time_to_finish,
        disk_bytes=disk_bytes,
        seed=0,
    )


def run(
    folder: Path,
    function: str = "falls",
    *,
    scheduler: Scheduler | None = None,
    trials: int | None = None,
    budget: float = math.inf,
    now: Callable[[], float] = lambda: 0.0,
    interrupted: threading.Event | None = None,
    executor: Executor | None = None,
    sign: int = 1,
    units: int | None = None,
    reserves_time_to_finish: bool = True,
    disk_bytes: float = DISK_BYTES,
) -> tuple[History, str, list[str]]:
    """Search in this process; return the trials, why it ended, and what the user was told."""
    said: list[str] = []
    folder.mkdir(exist_ok=True)
    if trials and math.isinf(budget):
        units = units or HORIZON * trials
    with Journal(folder) as journal:
        forget_failures(journal, folder / "trials")
        searching = Tuner(
            search_of(
                function,
                scheduler=scheduler or FreezeThaw(block=BLOCK / HORIZON),
                trials=trials,
                units=units,
                sign=sign,
                reserves_time_to_finish=reserves_time_to_finish,
                disk_bytes=disk_bytes,
            ),
            folder=folder / "trials",
            executor=executor or Inline(),
            clock=Clock(budget=budget, now=now),
            journal=journal,
            say=said.append,
            interrupted=interrupted or threading.Event(),
        )
        reason = searching.run()
        return searching.history, reason, said


@pytest.mark.parametrize("scheduler", [FULL, ASHA(), FreezeThaw(block=BLOCK / HORIZON)])
def test_without_a_budget_every_trial_is_trained_to_the_end(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    history, reason, said = run(tmp_path, scheduler=scheduler, trials=6)
    assert [trial.at for trial in history.trials] == [HORIZON] * 6
    assert history.trials[0].config == {"lr": 1e-4, "kind": "good"}
    assert reason == "No trial is left that could train on."
    assert said[0].startswith("Trial 0 leads: 0.")
    assert len(list((tmp_path / "trials").glob("*/00000024/state.json"))) == 6


def test_the_same_seed_gives_the_same_search_and_the_journal_says_it(tmp_path: Path) -> None:
    first, _, _ = run(tmp_path / "a", trials=6)
    second, _, _ = run(tmp_path / "b", trials=6)
    assert first == second
    past = read_history(tmp_path / "a")
    assert recall(past, horizon=HORIZON, sign=1, is_timed=False) == first


@final
class Slow:
    """Runs tasks in this process, and says that a unit takes ten seconds.

    Args:
        late: Trial whose first slice is not over by its deadline.
        preparing: Seconds that the first slice takes beyond.
    """

    workers = 1

    def __init__(self, late: int | None = None, *, preparing: float = 0.0) -> None:
        self.time = 0.0
        self.deadlines: list[float] = []
        self.wholes: list[float] = []
        self._inline, self._units, self._late = Inline(), 0, late
        self._preparing = preparing

    def submit(self, task: Task) -> None:
        self.deadlines.append(task.deadline_s)
        self.wholes.append(task.whole_s)
        self._units = task.arguments["until"] - task.arguments["start"]
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        if outcome and outcome.key == str(self._late):
            self._late, seconds = None, self.deadlines[-1]
            self.time += seconds
            return Outcome(key=outcome.key, seconds=seconds, failed="It was slow.", failure="late")
        seconds, self._preparing = 10.0 * self._units + self._preparing, 0.0
        self.time += seconds
        return outcome and replace(outcome, seconds=seconds)

    def cancel(self) -> None:
        self._inline.cancel()


@pytest.mark.parametrize("budget", [200.0, 250.0, 500.0, 1000.0])
def test_a_budget_ends_it_and_what_must_be_finished_is(budget: float, tmp_path: Path) -> None:
    slow = Slow()
    history, reason, _ = run(tmp_path, budget=budget, now=lambda: slow.time, executor=slow)
    assert reason == "The budget is spent."
    assert budget - 20 <= slow.time <= budget
    done = [trial for trial in history.trials if trial.at == HORIZON]
    assert (history.trials[0] in done) == (budget >= 250)
    if budget >= 500:
        assert min(history.trials, key=lambda trial: trial.best) in done


@final
class Slowing:
    """Runs tasks in this process, and says that units take longer after the first ones of a trial.

    The defaults lead.
    """

    workers = 1

    def __init__(self) -> None:
        self.time = 0.0
        self._inline, self._seconds, self._left_s = Inline(), 0.0, 0.0

    def submit(self, task: Task) -> None:
        units = range(task.arguments["start"], task.arguments["until"])
        self._seconds = sum(10.0 if unit < SOON else 40.0 for unit in units)
        self._left_s = task.deadline_s
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        if outcome is None:
            return None
        self.time += min(self._seconds, self._left_s)
        if self._seconds > self._left_s:
            seconds = self._left_s
            return Outcome(key=outcome.key, seconds=seconds, failed="It was slow.", failure="late")
        value = [0.5 if outcome.key == "0" else 1.0]
        return replace(outcome, seconds=self._seconds, value=value)

    def cancel(self) -> None:
        self._inline.cancel()


BEGIN = Rounds(trials=1, block=BLOCK, until=2 * SOON)


def begin_and_start_others(
    history: History, *, spent: float, may_start: bool, seed: int
) -> Decision:
    """Leave it to the tuner when the defaults must be finished, once they have begun."""
    decision = BEGIN(history, spent=spent, may_start=may_start, seed=seed)
    return Start(BLOCK) if isinstance(decision, Stop) and may_start else decision


@pytest.mark.parametrize("sessions", [[begin_and_start_others], [BEGIN, begin_and_start_others]])
def test_what_takes_longer_by_now_is_finished_all_the_same(
    sessions: list[Scheduler], tmp_path: Path
) -> None:
    """Such as a trial that was trained alone for a while, and then beside others."""
    slowing = Slowing()
    for scheduler in sessions:
        history, _, _ = run(
            tmp_path,
            scheduler=scheduler,
            budget=2000.0,
            now=lambda: slowing.time,
            executor=slowing,
        )
    assert len(history.trials) > 10
    assert history.trials[0].at == HORIZON


def test_much_time_that_is_too_little_for_another_slice_is_told(tmp_path: Path) -> None:
    slow = Slow()
    _, reason, _ = run(tmp_path, budget=400.0, now=lambda: slow.time, executor=slow, scheduler=FULL)
    assert reason == (
        "The time left, 2 min 40 s, is too short for another slice, which takes about 4 min 00 s."
    )


def test_nothing_need_be_finished(tmp_path: Path) -> None:
    slow = Slow()
    history, reason, _ = run(
        tmp_path, budget=250.0, now=lambda: slow.time, executor=slow, reserves_time_to_finish=False
    )
    assert reason == "The budget is spent."
    assert len(history.trials) >= 5
    assert all(trial.at < HORIZON for trial in history.trials)
    assert min(slow.deadlines) > 0  # no time is kept, though more would be needed than there is


def test_a_slice_that_others_leave_too_little_time_costs_its_trial_nothing(tmp_path: Path) -> None:
    slow = Slow(late=1)
    history, _, said = run(tmp_path, budget=300.0, now=lambda: slow.time, executor=slow)
    assert slow.deadlines[1] < 30  # of 280 seconds; the defaults need the others
    assert history.trials[0].at == HORIZON
    assert history.trials[1].failed is None
    assert not any("failed" in text for text in said)
    assert all(trial.ended is None for trial in read_history(tmp_path).trials.values())


def test_a_slice_that_had_all_the_time_it_may_take_has_failed(tmp_path: Path) -> None:
    slow = Slow(late=1)
    history, _, _ = run(tmp_path, budget=3000.0, now=lambda: slow.time, executor=slow)
    assert history.trials[1].failed == "It was slow."


def test_what_is_not_known_may_take_as_much_of_the_time_as_it_is_of_a_training(
    tmp_path: Path,
) -> None:
    slow = Slow()
    run(tmp_path / "blocks", budget=1000.0, now=lambda: slow.time, executor=slow)
    assert (slow.deadlines[0], slow.wholes[:2]) == (250.0, [1000.0, 980.0])
    slow = Slow()
    run(tmp_path / "whole", budget=1000.0, now=lambda: slow.time, executor=slow, scheduler=FULL)
    assert slow.deadlines[0] == 1000.0
    slow = Slow()
    run(tmp_path / "units", trials=1, now=lambda: slow.time, executor=slow)
    assert (slow.deadlines[:2], slow.wholes[0]) == ([3600.0, 200.0], math.inf)


def test_any_slice_may_take_what_the_first_one_of_its_process_takes(tmp_path: Path) -> None:
    slow = Slow(preparing=450.0)
    run(tmp_path, trials=2, executor=slow)
    assert len(slow.deadlines) == 2 * HORIZON / BLOCK
    assert min(slow.deadlines) > 450.0 + 10.0 * BLOCK


def test_training_may_be_counted_in_units_and_time_ends_it_all_the_same(tmp_path: Path) -> None:
    slow = Slow()
    history, reason, _ = run(
        tmp_path / "units", trials=6, units=30, now=lambda: slow.time, executor=slow, budget=1e4
    )
    assert reason == "The budget is spent."
    assert sum(trial.at for trial in history.trials) == 30
    assert [trial.seconds for trial in history.trials] == [trial.at for trial in history.trials]
    slow = Slow()
    history, _, _ = run(
        tmp_path / "time", trials=6, units=30, now=lambda: slow.time, executor=slow, budget=100.0
    )
    assert slow.time <= 100
    assert sum(trial.at for trial in history.trials) == 10
    assert slow.deadlines[1] == 80  # units that are kept would be no seconds


def test_what_takes_too_much_disk_is_given_up_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuner, "FOLDERS", 0)
    history, _, said = run(tmp_path, trials=12, disk_bytes=FEW_BYTES)
    dropped = [trial for trial in history.trials if trial.is_dropped]
    told = [text for text in said if text.endswith(" was given up to make room on the disk.")]
    assert len(told) == len(dropped)
    assert dropped
    assert all(trial.curve and trial.failed is None for trial in dropped)
    assert [trial.at for trial in history.trials if not trial.is_dropped] == [HORIZON] * (
        12 - len(dropped)
    )
    kept = {int(path.parent.name): path for path in tmp_path.glob("trials/*/0*")}
    assert {0, best_trial(history)} <= kept.keys()
    assert sum(map(folders.size, kept.values())) <= FEW_BYTES
    past = read_history(tmp_path)
    assert recall(past, horizon=HORIZON, sign=1, is_timed=False) == history
    again, _, _ = run(tmp_path, trials=12, disk_bytes=FEW_BYTES)
    assert again == history


def test_there_is_room_for_some_folders_where_units_are_counted(tmp_path: Path) -> None:
    history, _, said = run(tmp_path / "units", trials=6, disk_bytes=1.0)
    assert [trial.at for trial in history.trials] == [HORIZON] * 6
    assert not any("given up" in text for text in said)
    assert len(list(tmp_path.glob("units/trials/*/0*"))) == 6
    slow = Slow()
    timed, _, said = run(
        tmp_path / "time", budget=1000.0, now=lambda: slow.time, executor=slow, disk_bytes=1.0
    )
    assert any(trial.is_dropped for trial in timed.trials)
    assert any("given up" in text for text in said)


@pytest.mark.parametrize(
    ("function", "disk_bytes"),
    [
        ("falls", DISK_BYTES),
        ("falls", FEW_BYTES),
        ("breaks_where_bad", DISK_BYTES),
        ("breaks_later_where_bad", DISK_BYTES),
    ],
)
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(
    function: str, disk_bytes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuner, "FOLDERS", 0)
    whole, _, _ = run(tmp_path / "whole", function, trials=6, disk_bytes=disk_bytes)
    assert any(trial.is_dropped for trial in whole.trials) == (disk_bytes == FEW_BYTES)
    for stop_after in (3, 20, 40):
        interrupted = threading.Event()
        asked = itertools.count()

        def now(asked: "itertools.count[int]" = asked, stop: int = stop_after) -> float:
            if next(asked) == stop:
                interrupted.set()  # noqa: B023 (called in this round alone)
            return 0.0

        _, reason, _ = run(
            tmp_path / "parts",
            function,
            trials=6,
            interrupted=interrupted,
            now=now,
            disk_bytes=disk_bytes,
        )
        assert reason == "It was interrupted."
    resumed, _, _ = run(tmp_path / "parts", function, trials=6, disk_bytes=disk_bytes)
    assert resumed == whole


def test_who_leads_is_said_also_where_the_leader_got_worse(tmp_path: Path) -> None:
    history, _, said = run(tmp_path, "turns", units=80)
    best = best_trial(history)
    leads = [text for text in said if " leads: " in text]
    assert any(f" got worse. Trial {best} leads: " in text for text in leads)
    assert f"Trial {best} leads: {history.trials[best or 0].last:.6g} after " in leads[-1]


def test_values_may_be_maximized(tmp_path: Path) -> None:
    low, _, _ = run(tmp_path / "low", trials=6)
    high, _, said = run(tmp_path / "high", "rises", trials=6, sign=-1)
    assert [t.config for t in low.trials] == [t.config for t in high.trials]
    assert said[0].startswith("Trial 0 leads: 0.0")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("breaks_where_bad", "It raised RuntimeError: bad kind."),
        ("misses_a_file_where_bad", r"It raised FileNotFoundError: caf\udce9.jpg."),
        ("is_no_number_where_bad", "It gave a value that is not finite."),
    ],
)
def test_a_trial_that_fails_costs_itself_alone(function: str, reason: str, tmp_path: Path) -> None:
    history, _, said = run(tmp_path, function, trials=8)
    for trial in history.trials:
        assert trial.failed == (reason if trial.config["kind"] == "bad" else None)
        assert trial.failed or trial.at == HORIZON
    number = next(n for n, trial in enumerate(history.trials) if trial.failed)
    assert f"Trial {number} failed. {reason}" in said
    kept = [p.name for p in (tmp_path / "trials" / f"{number:04d}").iterdir()]
    assert kept == ["error.txt"]


def test_a_penalty_as_large_as_can_be_is_no_trouble(tmp_path: Path) -> None:
    history, _, _ = run(tmp_path, "has_a_penalty_where_bad", trials=14)
    worst = [trial for trial in history.trials if trial.best > 1]
    assert worst
    assert all(trial.config["kind"] == "bad" and trial.failed is None for trial in worst)
    best = best_trial(history)
    assert best is not None
    assert history.trials[best].config["kind"] == "good"


@final
class Killing:
    """Runs tasks in this process, and fails the first slices of some trials in some way, or two.

    It says that a slice of the defaults takes 100 seconds, and one of another trial takes one.
    """

    workers = 1

    def __init__(self, failure: Failure, *trials: int, times: int = 1) -> None:
        self.began: list[str] = []  # trials, by the order of their first slices
        self.fresh: list[str] = []  # those that asked for a process of their own
        self._inline, self._failure = Inline(), failure
        self._left = dict.fromkeys(map(str, trials), times)

    def submit(self, task: Task) -> None:
        if not task.arguments["start"]:
            self.began.append(task.key)
        if task.is_fresh:
            self.fresh.append(task.key)
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        if outcome is None:
            return None
        outcome = replace(outcome, seconds=1.0 if int(outcome.key) else 100.0)
        if not self._left.get(outcome.key):
            return outcome
        self._left[outcome.key] -= 1
        return replace(outcome, value=None, failed="It was lost.", failure=self._failure)

    def cancel(self) -> None:
        self._inline.cancel()


@pytest.mark.parametrize("failure", ["memory", "killed", "ended", "silent"])
def test_a_new_trial_that_may_have_failed_by_no_fault_of_its_own_is_tried_once_more(
    failure: Failure, tmp_path: Path
) -> None:
    whole, _, _ = run(tmp_path / "whole", trials=4)
    killing = Killing(failure, 0, 2)
    history, _, said = run(tmp_path / "once", trials=4, executor=killing)
    assert history == whole
    assert killing.fresh == ["0", "2"]
    assert killing.began == ["0", "0", "1", "2", "2", "3"]
    assert "Trial 2 failed in its first slice, and is tried once more. It was lost." in said
    twice = Killing(failure, 0, 2, times=2)
    history, _, said = run(tmp_path / "twice", trials=4, executor=twice)
    assert [trial.failure for trial in history.trials] == [failure, "", failure, ""]
    assert "Trial 2 failed. It was lost." in said
    past = read_history(tmp_path / "twice")
    assert recall(past, horizon=HORIZON, sign=1, is_timed=False) == history


@pytest.mark.parametrize(
    ("failing", "began"),
    [
        # The last ones have failed too: nothing is left to prove it, but they are too few to doubt.
        ([2, 3, 5, 6, 8, 9], [*range(10)]),
        ([2, 3, 4, *range(6, 12)], [*range(5), 1, *range(5, 12), 1]),
    ],
)
def test_where_a_part_of_the_space_fails_few_slices_are_probes(
    failing: list[int], began: list[int], tmp_path: Path
) -> None:
    killing = Killing("raised", *failing)
    count = max(began) + 1
    history, reason, _ = run(tmp_path, scheduler=FULL, trials=count, executor=killing)
    assert reason == "No trial is left that could train on."
    assert killing.began == [str(number) for number in began]
    assert [number for number, trial in enumerate(history.trials) if trial.failed] == failing
    past = read_history(tmp_path)
    assert recall(past, horizon=HORIZON, sign=1, is_timed=False) == history


@pytest.mark.parametrize(("left_s", "first"), [(1000.0, Resume(1, 2)), (25.0, Resume(0, 6))])
def test_what_must_be_finished_comes_before_what_is_retried(left_s: float, first: Resume) -> None:
    history = History(horizon=HORIZON).started({}, until=4)
    history = history.observed(0, (Observation(at=4, value=0.5),), seconds=4.0).started({}, until=2)
    ledger: Any = SimpleNamespace(
        history=history.observed(1, (), seconds=0.0), seconds=[4.0, 0.0], beside_s=0.0
    )
    asked = search_of("falls", scheduler=ASHA(), trials=None, units=None)
    clock = Clock(budget=2000.0, spent=2000.0 - left_s, now=lambda: 0.0)
    decision, _ = tuner._decide(asked, ledger, clock, Resume(1, 2))
    assert decision == first


TOO_SHORT = "The time left, 1.0 s, is too short for another slice"


def last(
    history: History,
    *,
    spent: float,
    may_start: bool,
    seed: int,
) -> Decision:
    """Resume the trial that was started last."""
    if paused := history.paused():
        return Resume(paused[-1], history.trials[paused[-1]].at + BLOCK)
    return Start(BLOCK) if may_start else Stop("None is left.")


@pytest.mark.parametrize("again", [None, Resume(3, BLOCK)])
@pytest.mark.parametrize(
    ("left_s", "decision", "expected"),
    [
        (25.0, Resume(3, BLOCK), 24.0),  # as long as two units take in the mean
        (15.0, Resume(1, 6), 10.0),
        (5.0, Resume(0, 6), 2.0),
        (1.0, Stop(f"{TOO_SHORT}, which takes about 24.0 s."), math.inf),
    ],
)
def test_where_the_time_left_is_too_short_for_one_slice_another_one_is_run(
    left_s: float, decision: Decision, expected: float, again: Resume | None
) -> None:
    seconds, history = [4.0, 20.0, 120.0], History(horizon=HORIZON)
    for number, each in enumerate(seconds):
        history = history.started({}, until=4)
        history = history.observed(number, (Observation(at=4, value=0.5),), seconds=each)
    history = history.started({}, until=BLOCK).observed(3, (), seconds=0.0)
    ledger: Any = SimpleNamespace(history=history, seconds=[*seconds, 0.0], beside_s=0.0)
    asked = search_of(
        "falls", scheduler=last, trials=None, units=None, reserves_time_to_finish=False
    )
    clock = Clock(budget=2.0 * left_s, spent=left_s, now=lambda: 0.0)
    assert tuner._decide(asked, ledger, clock, again) == (decision, expected)


@pytest.mark.parametrize(
    ("failure", "is_retried"), [("raised", True), ("unloaded", True), ("late", False)]
)
def test_of_what_failed_by_itself_the_defaults_alone_are_tried_once_more(
    failure: Failure, is_retried: bool, tmp_path: Path
) -> None:
    history, _, _ = run(tmp_path, trials=4, executor=Killing(failure, 0, 2))
    failed = [number for number, trial in enumerate(history.trials) if trial.failed]
    assert failed == ([2] if is_retried else [0, 2])


@pytest.mark.parametrize(
    ("function", "units", "reason"),
    [
        ("is_no_folder_where_bad", 0, r"kept or read \(File exists: .*\.part\)\. A slice must"),
        ("blocks_its_trial_where_bad", 0, r"kept or read \(Not a directory: .*\)\. A slice must"),
        ("lies_too_deep_where_bad", 2, r"kept or read \(File name too long: .*\)\. A slice must"),
    ],
)
def test_what_a_trial_made_of_its_folder_costs_that_trial_alone(
    function: str, units: int, reason: str, tmp_path: Path
) -> None:
    history, _, said = run(tmp_path, function, trials=8)
    failed = {n: trial for n, trial in enumerate(history.trials) if trial.failed}
    assert failed
    assert {trial.config["kind"] for trial in failed.values()} == {"bad"}
    assert {trial.at for trial in failed.values()} == {units}
    for number, trial in failed.items():
        assert re.search(reason, trial.failed or "")
        assert f"Trial {number} failed. {trial.failed}" in said
    good = [trial for trial in history.trials if trial.config["kind"] == "good"]
    assert {trial.at for trial in good} == {HORIZON}
    again, _, _ = run(tmp_path, function, trials=8)
    assert again == history


def test_a_trial_that_had_trained_is_tried_once_more_from_its_last_block(tmp_path: Path) -> None:
    whole, _, _ = run(tmp_path / "whole", trials=6)
    history, _, said = run(tmp_path / "once", "breaks_once", trials=6)
    assert history == whole
    (told,) = [text for text in said if "failed" in text]
    assert told.endswith("units, and is tried once more. It raised RuntimeError: lost the device.")
    assert all(trial.ended is None for trial in read_history(tmp_path / "once").trials.values())


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("breaks_later_where_bad", "It raised RuntimeError: bad kind."),
        ("is_no_number_later_where_bad", "It gave a value that is not finite."),
    ],
)
def test_one_that_fails_in_the_same_place_again_has_failed_while_others_work(
    function: str, reason: str, tmp_path: Path
) -> None:
    history, _, said = run(tmp_path, function, trials=8)
    past = read_history(tmp_path).trials
    assert any(trial.failed for trial in history.trials)
    for number, trial in enumerate(history.trials):
        is_bad = trial.config["kind"] == "bad"
        once = f"Trial {number} failed after 2 units, and is tried once more. {reason}"
        assert trial.failed == (reason if is_bad else None)
        assert said.count(once) == is_bad
        assert trial.failed or trial.at == HORIZON
        assert past[str(number)].ended == trial.failed
        kept = {path.name for path in (tmp_path / "trials" / f"{number:04d}").iterdir()}
        assert kept == ({f"{BLOCK:08d}", "error.txt"} if is_bad else {f"{HORIZON:08d}"})
    assert run(tmp_path, function, trials=8)[0] == history


def test_where_all_fail_in_one_place_what_they_left_is_kept_and_goes_on_once_mended(
    tmp_path: Path,
) -> None:
    told = r"Each of the 4 trials that .* 22 units: It raised RuntimeError: no such file\. .*kept\."
    for _ in range(2):
        _, reason, _ = run(tmp_path, "breaks_at_the_end", trials=4)
        assert re.match(told, reason)
    past = read_history(tmp_path)
    assert [trial.seen for trial in past.trials.values()] == [22] * 4
    assert len(list(tmp_path.glob("trials/*/00000022/state.json"))) == 4
    assert best_trial(recall(past, horizon=HORIZON, sign=1, is_timed=False)) is not None
    (tmp_path / "mended").touch()
    history, _, _ = run(tmp_path, "breaks_at_the_end", trials=4)
    assert [(trial.at, trial.failed) for trial in history.trials] == [(HORIZON, None)] * 4
    whole, _, _ = run(tmp_path / "whole", trials=4)
    assert {t.last for t in history.trials} == {t.last for t in whole.trials}


def test_where_nothing_works_any_more_the_search_stops_and_loses_nothing(tmp_path: Path) -> None:
    run(tmp_path, "breaks_while_out", trials=5, units=20)
    before = read_history(tmp_path).trials
    assert len(before) == 5
    (tmp_path / "out").touch()
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"(?s)^3 trials failed, .* no such device.*again"):
            run(tmp_path, "breaks_while_out", trials=5)
        assert read_history(tmp_path).trials == before
    (tmp_path / "out").unlink()
    history, _, _ = run(tmp_path, "breaks_while_out", trials=5)
    assert [trial.at for trial in history.trials] == [HORIZON] * 5
    assert all(trial.failed is None for trial in history.trials)


@pytest.mark.parametrize("scheduler", [FULL, ASHA(), FreezeThaw(block=BLOCK / HORIZON)])
def test_where_nothing_works_any_more_new_trials_are_tried_again_once_that_is_mended(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    run(tmp_path, "breaks_while_out", scheduler=scheduler, trials=2)
    (tmp_path / "out").touch()
    for _ in range(2):
        with pytest.raises(OutageError, match=r"^3 trials failed, .* no such device"):
            run(tmp_path, "breaks_while_out", scheduler=scheduler, trials=8)
        past = read_history(tmp_path).trials
        assert [trial.seen for trial in past.values()] == [HORIZON] * 2 + [0] * (len(past) - 2)
        assert all(trial.ended is None for trial in past.values())
    (tmp_path / "out").unlink()
    history, _, _ = run(tmp_path, "breaks_while_out", scheduler=scheduler, trials=8)
    assert [(trial.at, trial.failed) for trial in history.trials] == [(HORIZON, None)] * 8
    if scheduler == FULL:
        assert history == run(tmp_path / "whole", scheduler=FULL, trials=8)[0]


def test_a_function_that_removes_its_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"`removes_its_folder` left nothing in its folder"):
        run(tmp_path, "removes_its_folder")
    history, _, _ = run(tmp_path / "whole", "removes_its_folder", scheduler=FULL, trials=2)
    assert [trial.at for trial in history.trials] == [HORIZON] * 2


def test_where_all_fail_for_one_reason_the_search_stops_and_says_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)first 3 trials failed.*no device number 2.*0002"):
        run(tmp_path, "breaks", trials=12)
    assert "in breaks" in (tmp_path / "trials" / "0002" / "error.txt").read_text()
    with pytest.raises(SettingsError, match=r"returns a number, .* but it returned None"):
        run(tmp_path / "none", "gives_none", trials=12)


def test_a_function_that_keeps_nothing_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"`forgets` left nothing in its folder.*none"):
        run(tmp_path, "forgets")
    assert [trial.slices for trial in read_history(tmp_path).trials.values()] == [()]
    history, _, _ = run(tmp_path / "whole", "forgets", scheduler=FULL, trials=3)
    assert [trial.at for trial in history.trials] == [HORIZON] * 3


@pytest.mark.skipif(
    not _is_told(Path(tempfile.gettempdir())), reason="the disk does not tell when files are read"
)
@pytest.mark.parametrize("function", ["ignores", "ignores_once_a_slice", "is_chance"])
def test_a_function_that_does_not_read_its_folder_is_found(function: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"`{function}` reads nothing of what it left in"):
        run(tmp_path, function, trials=12)
    assert sum(len(trial.slices) > 1 for trial in read_history(tmp_path).trials.values()) == 2


def test_a_function_that_reads_its_folder_and_begins_anew_is_found(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"does not go on .*\(its curves begin anew\)"):
        run(tmp_path, "only_looks", trials=12)


def test_a_doubt_about_a_function_is_told_once(tmp_path: Path) -> None:
    _, _, said = run(tmp_path, "only_looks_once_a_slice", trials=12)
    doubt = "Every trial of `only_looks_once_a_slice` gave the same value twice. Does it go on from"
    assert sum(text.startswith(doubt) for text in said) == 1
