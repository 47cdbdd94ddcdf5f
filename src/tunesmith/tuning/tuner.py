"""The tuner: decides what to run next, runs it, records the result, and decides again."""

import itertools
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import final

from tunesmith.core.clock import Clock
from tunesmith.core.words import duration
from tunesmith.execution.executor import Executor, Outcome
from tunesmith.records.journal import Journal
from tunesmith.tuning.continuity import check_left, look_at_slices
from tunesmith.tuning.failures import check_outcome, common_place
from tunesmith.tuning.fresh import is_exhausted
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.protocols import Decision, History, Resume, Start, Stop
from tunesmith.tuning.recorded import are_finite, points
from tunesmith.tuning.room import superfluous
from tunesmith.tuning.running import Running
from tunesmith.tuning.search import FOLDERS, Search, proposed
from tunesmith.tuning.suspended import Suspended
from tunesmith.tuning.timing import (
    best_trial,
    expected_s,
    kept_s,
    must_go_on,
    patience_s,
    preparing_s,
    share_of,
    without_longer,
)
from tunesmith.tuning.trouble import Trouble

POLL_S = 0.5  # seconds between two checks whether the search is interrupted
MUCH = 0.1  # share of the budget that is worth a word if it is left


@final
class Tuner:
    """Runs a search; events are journaled before anything follows from them.

    Args:
        search: Definition of the search.
        folder: Folder of all trial folders.
        executor: Executor of slices.
        clock: Clock of the run.
        journal: Journal of the run, from which the search resumes.
        say: Shows a message to the user.
        interrupted: Event that ends the search.
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
        self._suspended = Suspended(self._ledger)
        self._trouble = Trouble(self._ledger, self._suspended, say)
        self._running: dict[int, Running] = {}
        self._probe: Running | None = None  # a slice that worked before; no other begins meanwhile

    @property
    def history(self) -> History:
        """The trials as they are now."""
        return self._ledger.history

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons of failures that were not held against their trials."""
        return tuple(self._trouble.doubts)

    def run(self) -> str:
        """Search until time is over, or nothing is left to do.

        Returns:
            Why it ended, in words.

        Raises:
            SettingsError: The user's function does not work as required, or its code was changed.
            ShortError: A process may have had too little memory; see `Search.ends_if_short`.
        """
        try:
            while not self._interrupted.is_set():
                reason = self._fill()
                if not self._running:
                    self._suspended.settle()
                    return common_place(self._ledger.past, self._ledger.folder) or reason
                if outcome := self._executor.next_done(POLL_S):
                    self._tell(outcome)
            return "It was interrupted."
        finally:
            self._executor.cancel()

    def _fill(self) -> str:
        """Give slices to free workers; return why no more were started."""
        if not self._probe:  # whose folder must stay
            for number in self._ledger.make_room(_superfluous(self._search, self._ledger)):
                self._say(f"Trial {number} was given up to make room on the disk.")
        while not self._probe and len(self._running) < self._executor.workers:
            decision, expected = _decide(
                self._search, self._ledger, self._clock, self._trouble.again
            )
            is_over = isinstance(decision, Stop) and not self._running
            witness = self._suspended.witness(is_over=is_over)
            if witness is not None and expected < math.inf and self._clock.left() > 0:
                self._probe = self._begin_probe(witness)
                continue
            if isinstance(decision, Stop):
                return decision.reason
            self._submit(decision, expected)
        return "Every worker is busy."

    def _begin_probe(self, number: int) -> Running | None:
        """Run the first slice of a trial again: it worked before."""
        first = self._ledger.first(number)
        return self._begin(number, Start(first.end), self._clock.left(), expected=first.seconds)

    def _submit(self, decision: Start | Resume, expected: float) -> None:
        """Begin a slice, and record that if it is a trial's first."""
        search, ledger, left_s = self._search, self._ledger, self._clock.left()
        if search.reserves_time_to_finish and search.units is None:  # only then are seconds kept
            left_s -= kept_s(ledger.history, decision, beside_s=ledger.beside_s)
        if isinstance(decision, Start):
            number = ledger.start(proposed(search, ledger.history), until=decision.until)
        else:
            number = decision.trial
            ledger.go_on(number, until=decision.until)
        self._begin(number, decision, left_s, expected=expected)

    def _begin(
        self, number: int, decision: Start | Resume, left_s: float, *, expected: float
    ) -> Running | None:
        """Begin a slice, which must not take more than the time left; None if it cannot begin."""
        history = self.history
        start = 0 if isinstance(decision, Start) else history.trials[number].at
        patience = _patience_s(self._ledger, decision, expected, left_s)
        with self._trouble.guarding(number):
            running = self._ledger.opened(
                number, start=start, until=decision.until, is_cut=left_s <= patience
            )
            self._running[number] = running
            task = running.task(
                self._search.function,
                history.trials[number].config,
                code=self._search.code,
                deadline_s=min(left_s, patience),
                whole_s=self._clock.left(),
                # What is probed must not be what an older process had read.
                is_fresh=self._trouble.is_doubted(number) or start < history.trials[number].at,
            )
            self._executor.submit(task)
        return self._running.get(number)

    def _tell(self, outcome: Outcome) -> None:
        """Handle the outcome of a slice."""
        check_outcome(outcome, ends_if_short=self._search.ends_if_short)
        running = self._running.pop(int(outcome.key))
        if running is self._probe:
            self._probe = None
            self._ledger.tidy(running.trial)
            self._suspended.judge(running, outcome, is_over=self._clock.left() <= 0)
        elif outcome.failed is None:
            self._take(running, outcome)
        else:
            self._trouble.failed(running, outcome, is_over=self._clock.left() <= 0)

    def _take(self, running: Running, outcome: Outcome) -> None:
        """Record a finished slice, and tell the user what is new.

        Raises:
            SettingsError: Slices do not build on each other.
        """
        number, leader, done = running.trial, best_trial(self.history), running.done(outcome)
        if not are_finite(points(done, sign=self._search.sign)):
            self._trouble.diverged(running, outcome)
            return
        if running.until < self._search.horizon:
            check_left(running.folder, self._search.function)
        self._trouble.worked(running)
        with self._trouble.guarding(number):
            self._ledger.take(running, done)
            for text in _news(self._search, self._ledger, number, leader):
                self._say(text)


def _decide(
    search: Search, ledger: Ledger, clock: Clock, again: Resume | None
) -> tuple[Decision, float]:
    """Decide what a free worker runs, and expect so many seconds; infinitely many if none is left.

    What must be finished comes first, then what is retried. If there is too little time for what is
    chosen otherwise, the scheduler decides without that, since other slices may be shorter.
    """
    history, left_s = ledger.history, clock.left()
    spent, may_start = _spent(search, history, clock), _may_start(search, history)
    must: Resume | None = None
    if search.reserves_time_to_finish:
        beside_s = ledger.beside_s
        must = must_go_on(history, left_s=left_s, block=search.block, beside_s=beside_s)
    decision: Decision | None = must or again
    too_long: tuple[Stop, float] | None = None
    while True:
        if decision is None:
            decision = search.scheduler(history, spent=spent, may_start=may_start, seed=search.seed)
        if isinstance(decision, Stop):
            return too_long or (decision, 0.0)
        expected = expected_s(history, decision, ledger.seconds)
        if spent < 1 and left_s >= expected:
            return decision, expected
        too_long = Stop(_spent_words(expected, left_s if spent < 1 - MUCH else 0.0)), math.inf
        if must or spent >= 1:
            return too_long
        may_start = may_start and isinstance(decision, Resume)
        history = without_longer(history, decision, ledger.seconds, left_s=left_s)
        decision = None


def _patience_s(ledger: Ledger, decision: Start | Resume, expected: float, left_s: float) -> float:
    """Seconds after which a slice is taken to hang."""
    slices = itertools.chain.from_iterable(ledger.extremes.values())
    share = share_of(ledger.history, decision)
    return patience_s(expected, left_s, share=share, preparing=preparing_s(slices))


def _spent_words(expected: float, left_s: float) -> str:
    """Say that a budget is spent, or how much too little of it is left."""
    if not left_s:
        return "The budget is spent."
    return (
        f"The time left, {duration(left_s)}, is too short for another slice, which takes about "
        f"{duration(expected)}."
    )


def _news(search: Search, ledger: Ledger, number: int, leader: int | None) -> list[str]:
    """List what the user should know after a slice that worked.

    Raises:
        SettingsError: Slices do not build on each other.
    """
    history, said = ledger.history, []
    note = look_at_slices(history, ledger.past, number, ledger.left_by(number), search.function)
    if note and ledger.note(note):
        said.append(note)
    best = best_trial(history)
    if best is not None and best != leader:
        trial, why = history.trials[best], "" if best == number else f"Trial {number} got worse. "
        trained = f"{trial.at} of {search.horizon} units"
        said.append(f"{why}Trial {best} leads: {search.sign * trial.last:.6g} after {trained}.")
    return said


def _superfluous(search: Search, ledger: Ledger) -> list[int]:
    """Choose trials whose folders to remove; if time is the limit, only the disk counts."""
    most, suspended = 0 if search.units is None else FOLDERS, ledger.suspended
    return superfluous(
        ledger.history, ledger.sizes, search.disk_bytes, folders=most, suspended=suspended
    )


def _may_start(search: Search, history: History) -> bool:
    """Whether another trial may be started."""
    has_room = search.trials is None or len(history.trials) < search.trials
    return has_room and (search.repeats or not is_exhausted(search.space, history))


def _spent(search: Search, history: History, clock: Clock) -> float:
    """Share of the budget that is used up: of the time, or of the units of training."""
    if search.units is None:
        return min(1.0, clock.elapsed() / clock.budget)
    return int(history.table.until_N.sum()) / search.units
