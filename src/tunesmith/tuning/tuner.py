"""The tuner: asks what to run next, runs it, tells what came of it, and asks again."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tunesmith.core.clock import Clock
from tunesmith.core.space import Space
from tunesmith.execution.executor import Executor, Outcome
from tunesmith.records.journal import Journal
from tunesmith.tuning.continuity import look_at_slices
from tunesmith.tuning.fresh import is_exhausted, new_config
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.protocols import Decision, History, Resume, Sampler, Scheduler, Start, Stop
from tunesmith.tuning.recorded import NOT_FINITE, are_finite, points
from tunesmith.tuning.room import superfluous
from tunesmith.tuning.running import Running
from tunesmith.tuning.timing import (
    best_trial,
    expected_s,
    kept_s,
    must_go_on,
    patience_s,
    share_of,
)
from tunesmith.tuning.trouble import Trouble

POLL_S = 0.5  # seconds between two looks at whether the search is to end
# That trials' folders may take on any disk, so that one seed gives one search; and how many of the
# largest they may take in any case, or large ones would be given up after their first slice.
DISK_BYTES, FOLDERS = 4e9, 8
SPENT = Stop("The budget is spent.")


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
        reserves_time_to_finish: Whether time is kept to train trial 0 and the best one to the end.
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
    reserves_time_to_finish: bool = True
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
        self._search, self._executor, self._clock = search, executor, clock
        self._say, self._interrupted = say, interrupted
        self._ledger = Ledger(
            folder,
            journal=journal,
            clock=clock,
            horizon=search.horizon,
            sign=search.sign,
            is_timed=search.units is None,
        )
        self._trouble = Trouble(self._ledger, say)
        self._running: dict[int, Running] = {}
        self._probe: Running | None = None  # a slice that worked before, while trials rest

    @property
    def history(self) -> History:
        """The trials as they are now."""
        return self._ledger.history

    def run(self) -> str:
        """Search until the time is over or nothing is left to do.

        Returns:
            Why it ended, in words.

        Raises:
            SettingsError: The user's function does not do what it should.
        """
        try:
            while not self._interrupted.is_set():
                for number in self._ledger.make_room(_superfluous(self._search, self._ledger)):
                    self._say(f"Trial {number} was given up to make room on the disk.")
                reason = self._fill()
                if not self._running:
                    return reason
                if outcome := self._executor.next_done(POLL_S):
                    self._tell(outcome)
            return "It was interrupted."
        finally:
            self._executor.cancel()

    def _fill(self) -> str:
        """Give free workers something to do; say why, if they get nothing."""
        while len(self._running) < self._executor.workers:
            decision = _decide(self._search, self._ledger, self._clock)
            if self._is_to_probe(decision):
                self._probe = self._probe or self._begin_probe()
                return "It is seen whether anything works."
            if isinstance(decision, Stop):
                return decision.reason
            self._submit(decision)
        return "Every worker is busy."

    def _is_to_probe(self, decision: Decision) -> bool:
        """Whether trials rest, and all else is over or they are many: it is time for a verdict."""
        is_over = isinstance(decision, Stop) and not self._running
        is_asked = self._trouble.is_large or (is_over and self._trouble.suspect is not None)
        return is_asked and decision != SPENT and self._clock.left() > 0

    def _begin_probe(self) -> Running:
        """Run the first slice of a trial that rests once more: it worked before."""
        number = self._trouble.suspect
        assert number is not None
        first = self._ledger.past.trials[str(number)].slices[0]
        return self._begin(number, Start(first.end), self._clock.left())

    def _submit(self, decision: Start | Resume) -> None:
        """Write down that a slice begins, if it is a trial's first, and begin it."""
        search, ledger, left_s = self._search, self._ledger, self._clock.left()
        if search.reserves_time_to_finish and search.units is None:  # only then are seconds kept
            left_s -= kept_s(ledger.history, decision)
        if isinstance(decision, Start):
            config = new_config(search.sampler, search.space, ledger.history, seed=search.seed)
            number = ledger.start(config, until=decision.until)
        else:
            number = decision.trial
            ledger.go_on(number, until=decision.until)
        self._begin(number, decision, left_s)

    def _begin(self, number: int, decision: Start | Resume, left_s: float) -> Running:
        """Begin a slice of a trial, which must not take more than the time that is left for it."""
        history = self.history
        start = 0 if isinstance(decision, Start) else history.trials[number].at
        expected = _expected_s(self._search, self._ledger, decision)
        patience = patience_s(expected, left_s, share=share_of(history, decision))
        running = self._ledger.opened(
            number, start=start, until=decision.until, is_cut=left_s <= patience
        )
        task = running.task(
            self._search.function,
            history.trials[number].config,
            deadline_s=min(left_s, patience),
            whole_s=self._clock.left(),
        )
        self._running[number] = running
        self._executor.submit(task)
        return running

    def _tell(self, outcome: Outcome) -> None:
        """See to it that what came of a slice is known, and what follows from it."""
        running = self._running.pop(int(outcome.key))
        if running is self._probe:
            self._judge(running, outcome)
        elif outcome.failed is None:
            self._take(running, outcome)
        elif running.is_cut_short(outcome) or self._clock.left() <= 0:
            self._ledger.put_back(running)
        elif running.start:
            self._trouble.doubt(running, outcome.failed, outcome.details)
        else:
            self._trouble.end(running.trial, outcome.failed, outcome.details)

    def _judge(self, running: Running, outcome: Outcome) -> None:
        """Blame the trials that rest, if what worked before still works."""
        self._probe = None
        self._ledger.tidy(running.trial)
        if outcome.failed is None:
            self._trouble.worked(running.trial)
        elif self._clock.left() > 0:
            self._trouble.nothing_works(running.trial, outcome.details or outcome.failed)

    def _take(self, running: Running, outcome: Outcome) -> None:
        """Write down what a slice brought, and say what the user should know of it."""
        number, leader, done = running.trial, best_trial(self.history), running.done(outcome)
        is_sound = are_finite(points(done, sign=self._search.sign))
        if not is_sound and self._trouble.may_repeat(running):
            self._trouble.doubt(running, NOT_FINITE)
            return
        if is_sound:
            self._trouble.worked(number)
        self._ledger.take(running, done)
        if not is_sound:
            self._trouble.end(number, NOT_FINITE)
            return
        for text in _news(self._search, self._ledger, number, leader):
            self._say(text)


def _decide(search: Search, ledger: Ledger, clock: Clock) -> Decision:
    """What a free worker does."""
    history, left_s = ledger.history, clock.left()
    spent = _spent(search, history, clock)
    decision: Decision | None = must_go_on(history, left_s=left_s, block=search.block)
    if decision is None or not search.reserves_time_to_finish:
        may = _may_start(search, history)
        decision = search.scheduler(history, spent=spent, may_start=may, seed=search.seed)
    if isinstance(decision, Stop):
        return decision
    return decision if spent < 1 and left_s >= _expected_s(search, ledger, decision) else SPENT


def _expected_s(search: Search, ledger: Ledger, decision: Start | Resume) -> float:
    """Seconds that a slice probably takes, also where it is units that count."""
    is_timed = search.units is None
    return expected_s(ledger.history if is_timed else ledger.recalled(is_timed=True), decision)


def _news(search: Search, ledger: Ledger, number: int, leader: int | None) -> list[str]:
    """What the user should know after a slice that worked.

    Raises:
        SettingsError: Slices do not build on each other.
    """
    history, said = ledger.history, []
    note = look_at_slices(history, ledger.past, ledger.left_by(number), search.function)
    if note and ledger.note(note):
        said.append(note)
    if number == best_trial(history) != leader:
        trial = history.trials[number]
        trained = f"{trial.at} of {search.horizon} units"
        said.append(f"Trial {number} leads: {search.sign * trial.last:.6g} after {trained}.")
    return said


def _superfluous(search: Search, ledger: Ledger) -> list[int]:
    """Trials whose folders are to go; where time is the limit, the disk alone says how many."""
    most = 0 if search.units is None else FOLDERS
    return superfluous(ledger.history, ledger.sizes, search.disk_bytes, folders=most)


def _may_start(search: Search, history: History) -> bool:
    """Whether there may be one more trial."""
    has_room = search.trials is None or len(history.trials) < search.trials
    return has_room and not is_exhausted(search.space, history)


def _spent(search: Search, history: History, clock: Clock) -> float:
    """Share of the budget that is used up: of time, or of the units of training."""
    if search.units is None:
        return min(1.0, clock.elapsed() / clock.budget)
    return sum(trial.until or trial.at for trial in history.trials) / search.units
