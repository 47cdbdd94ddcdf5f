"""The tuner: asks what to run next, runs it, tells what came of it, and asks again."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tunesmith.core.clock import Clock
from tunesmith.core.space import Space
from tunesmith.execution.executor import Executor, Outcome
from tunesmith.records.events import Event, Noted, TrialEnded, TrialStarted
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.tuning import folders
from tunesmith.tuning.continuity import look_at_slices
from tunesmith.tuning.failures import check_failures
from tunesmith.tuning.fresh import is_exhausted, new_config
from tunesmith.tuning.protocols import Decision, GoOn, History, Sampler, Scheduler, Start, Stop
from tunesmith.tuning.recorded import DROPPED, NOT_FINITE, are_finite, points, recall
from tunesmith.tuning.room import superfluous
from tunesmith.tuning.running import Running
from tunesmith.tuning.timing import (
    best_trial,
    deadline_s,
    expected_s,
    is_cut,
    kept_s,
    must_go_on,
)

POLL_S = 0.5  # seconds between two looks at whether the search is to end
# That trials' folders may take on any disk, so that one seed gives one search; and how many of the
# largest they may take in any case, or large ones would be given up after their first slice.
DISK_BYTES, FOLDERS = 4e9, 8
ERROR = "error.txt"  # in the folder of a trial that failed


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how.

    Attributes:
        function: The user's, as in `load_function`.
        space: Of its configs.
        horizon: Units of a full training.
        sign: 1 if values are to be minimized, -1 if maximized.
        sampler: Proposes configs; the first is the defaults.
        scheduler: Decides which trial trains.
        block: Units of a slice that finishes a trial.
        trials: How many there may be; None if as many as there is time for.
        units: Of all trials' training together; None if time is the limit. Nothing then depends on
            how long training takes, so that the same seed gives the same search.
        is_finished: Whether time is kept to train trial 0 and the best one to the end.
        disk_bytes: That trials' folders may take together; see `superfluous`. Where units are
            counted, they may take as much as `FOLDERS` of the largest in any case.
        seed: Of everything random.
    """

    function: str
    space: Space
    horizon: int
    sign: int
    sampler: Sampler
    scheduler: Scheduler
    block: int
    trials: int | None
    units: int | None
    is_finished: bool = True
    disk_bytes: float = DISK_BYTES
    seed: int


@final
class Tuner:
    """Runs a search, and writes what happens to the journal before it acts on it.

    Args:
        search: What is searched, and how.
        folder: Of all trials' folders.
        executor: Where slices run.
        clock: Of the run.
        journal: Of the run; the search goes on from what it says.
        say: Tells the user.
        interrupted: Set when the search is to end.
    """

    def __init__(
        self,
        search: Search,
        *,
        folder: Path,
        executor: Executor,
        clock: Clock,
        journal: Journal,
        say: Callable[[str], None],
        interrupted: threading.Event,
    ) -> None:
        self._search, self._folder, self._executor, self._clock = search, folder, executor, clock
        self._journal, self._say, self._interrupted = journal, say, interrupted
        self._running: dict[int, Running] = {}
        self.history = _recall(search, journal.history, is_timed=search.units is None)
        trials = enumerate(self.history.trials)
        kept = {n: t.at for n, t in trials if t.failed is None and not t.is_dropped}
        folders.tidy(folder, kept)
        self._sizes = {n: folders.size(folders.at_unit(folder, n, at)) for n, at in kept.items()}

    def run(self) -> str:
        """Search until the time is over or nothing is left to do.

        Returns:
            Why it ended, in words.

        Raises:
            SettingsError: The user's function does not do what it should.
        """
        try:
            while not self._interrupted.is_set():
                self._make_room()
                reason = self._fill()
                if not self._running:
                    return reason
                if outcome := self._executor.next_done(POLL_S):
                    self._tell(outcome)
            return "It was interrupted."
        finally:
            self._executor.cancel()

    def _make_room(self) -> None:
        """Remove what is superfluous; a trial that could have gone on is told to have ended."""
        for number in _superfluous(self._search, self.history, self._sizes):
            if number in self.history.paused():
                self._record(TrialEnded(trial=str(number), reason=DROPPED))
                self.history = self.history.dropped(number)
                self._say(f"Trial {number} was given up to make room on the disk.")
            folders.tidy_trial(self._folder, number, -1)
            del self._sizes[number]

    def _fill(self) -> str:
        """Give free workers something to do; say why, if they get nothing."""
        while len(self._running) < self._executor.workers:
            decision = self._decide()
            if isinstance(decision, Stop):
                return decision.reason
            self._submit(decision)
        return "Every worker is busy."

    def _decide(self) -> Decision:
        history, search = self.history, self._search
        spent, left_s = _spent(search, history, self._clock), self._clock.left()
        decision: Decision | None = must_go_on(history, left_s=left_s, block=search.block)
        if decision is None or not search.is_finished:
            may = _may_start(search, history)
            decision = search.scheduler(history, spent=spent, may_start=may, seed=search.seed)
        if isinstance(decision, Stop) or (spent < 1 and left_s >= self._expected_s(decision)):
            return decision
        return Stop("The budget is spent.")

    def _expected_s(self, decision: Start | GoOn) -> float:
        if self._search.units is None:
            return expected_s(self.history, decision)
        return expected_s(_recall(self._search, self._journal.history, is_timed=True), decision)

    def _submit(self, decision: Start | GoOn) -> None:
        """Write down that a slice begins, if it is a trial's first, and begin it."""
        search, until, left_s = self._search, decision.until, self._clock.left()
        if search.is_finished and search.units is None:  # only then are seconds kept
            left_s -= kept_s(self.history, decision)
        expected = self._expected_s(decision)
        if isinstance(decision, Start):
            number = len(self.history.trials)
            config = new_config(search.sampler, search.space, self.history, seed=search.seed)
            self._record(TrialStarted(trial=str(number), config=config))
            self.history = self.history.started(config, until=until)
        else:
            number = decision.trial
            self.history = self.history.resumed(number, until=until)
        trial = self.history.trials[number]
        self._running[number] = running = Running(
            trial=number,
            start=trial.at,
            until=until,
            folder=folders.opened(self._folder, number, start=trial.at, until=until),
            is_cut=is_cut(expected, left_s),
        )
        deadline = deadline_s(expected, left_s)
        self._executor.submit(running.task(search.function, trial.config, deadline_s=deadline))

    def _tell(self, outcome: Outcome) -> None:
        """Write down how a slice ended; what it left is the trial's from then on."""
        number, leader, search = int(outcome.key), best_trial(self.history), self._search
        running = self._running.pop(number)
        if outcome.failed is not None:
            if running.is_cut_short(outcome) or self._clock.left() <= 0:
                # It has paused where it was before.
                self.history = self.history.observed(number, (), seconds=0.0)
                folders.tidy_trial(self._folder, number, running.start)
            else:
                self._fail(number, outcome.failed, outcome.details)
            return
        folders.closed(running.folder)
        done = running.done(outcome)
        self._record(done)
        seconds = outcome.seconds if search.units is None else float(done.end - done.begin)
        curve = points(done, sign=search.sign)
        self.history = self.history.observed(number, curve, seconds=seconds)
        if not are_finite(curve):
            self._fail(number, NOT_FINITE)
            return
        folders.tidy_trial(self._folder, number, running.until)
        left = folders.at_unit(self._folder, number, running.until)
        self._sizes[number] = folders.size(left)
        note = look_at_slices(self.history, self._journal.history, left, search.function)
        if note and note not in self._journal.history.notes:
            self._record(Noted(text=note))
            self._say(note)
        if number == best_trial(self.history) != leader:
            value = search.sign * self.history.trials[number].last
            trained = f"{running.until} of {search.horizon} units"
            self._say(f"Trial {number} leads: {value:.6g} after {trained}.")

    def _fail(self, number: int, reason: str, details: str = "") -> None:
        """Write down that a trial cannot go on; end the search if that is not the trial's fault."""
        self._record(TrialEnded(trial=str(number), reason=reason))
        self.history = self.history.failed(number, reason)
        folders.tidy_trial(self._folder, number, -1)
        self._sizes.pop(number, None)
        self._say(f"Trial {number} failed. {reason}")
        (where := self._folder / f"{number:04d}" / ERROR).write_text(details or reason, "utf-8")
        check_failures(self.history, where)

    def _record(self, event: Event) -> None:
        """Write down what happened, and wait until it is on disk."""
        self._journal.append(event, elapsed=self._clock.elapsed(), phases=self._clock.phases)
        self._journal.flush()


def _superfluous(search: Search, history: History, sizes: Mapping[int, int]) -> list[int]:
    """Trials whose folders are to go; where time is the limit, the disk alone says how many."""
    most = 0 if search.units is None else FOLDERS
    return superfluous(history, sizes, search.disk_bytes, folders=most)


def _may_start(search: Search, history: History) -> bool:
    """Whether there may be one more trial."""
    has_room = search.trials is None or len(history.trials) < search.trials
    return has_room and not is_exhausted(search.space, history)


def _spent(search: Search, history: History, clock: Clock) -> float:
    """Share of the budget that is used up: of time, or of the units of training."""
    if search.units is None:
        return min(1.0, clock.elapsed() / clock.budget)
    return sum(trial.until or trial.at for trial in history.trials) / search.units


def _recall(search: Search, past: Past, *, is_timed: bool) -> History:
    return recall(past, horizon=search.horizon, sign=search.sign, is_timed=is_timed)
