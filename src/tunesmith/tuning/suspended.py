"""Find out whose fault failures are: the trials' own if others work, or nobody's in an outage."""

from collections.abc import Iterable
from typing import final

from tunesmith.execution.executor import Outcome
from tunesmith.tuning.failures import outage
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.running import Running

MANY = 3  # failures in a row after which a probe checks whether anything works at all


@final
class Suspended:
    """Lets trials count as failed for now, until it is known whether anything works at all.

    A slice that begins later and works, of whatever trial, proves that they have failed. If many
    fail in a row, a probe runs a slice again that worked before. If it fails too, the search stops,
    and the trials go on once the cause is mended.

    Where a part of the space always fails, a probe works. Twice as many must fail before the next
    one, so that probes take little time, however large that part is.

    Nothing is in the journal before it is known: a search that is killed meanwhile tries the trials
    again, and ends the same.

    Args:
        ledger: State of the trials.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._in_a_row, self._many = 0, MANY  # failures since a slice worked, and until a probe

    def add(self, number: int, outcome: Outcome) -> None:
        """Suspend a trial that failed."""
        self._ledger.set_aside(number, str(outcome.failed), outcome.failure)
        self._in_a_row += 1

    def witness(self, *, is_over: bool) -> int | None:
        """Number of the trial whose first slice worked in the least time, to probe with.

        Args:
            is_over: Whether nothing else is left to train.

        Returns:
            The number. None if no probe is needed: too few failed in a row, and at the end, none is
            suspended that had trained. None also if all that had trained are running or failed.
        """
        trials, suspended = self._ledger.history.trials, self._ledger.suspended
        is_needed = is_over and any(trials[number].curve for number in suspended)
        if not is_needed and self._in_a_row < self._many:
            return None
        sound = [
            number
            for number, trial in enumerate(trials)
            if trial.curve and trial.until is None and (trial.failed is None or number in suspended)
        ]
        return min(sound, key=lambda number: self._ledger.first(number).seconds, default=None)

    def worked(self, running: Running) -> None:
        """Record that a slice worked."""
        self._in_a_row = 0
        # If it had begun before a trial failed, it may have read what is lost since.
        began_s, suspended = running.began_s, self._ledger.suspended
        self._have_failed(number for number, at_s in suspended.items() if at_s <= began_s)

    def judge(self, running: Running, outcome: Outcome, *, is_over: bool) -> None:
        """Handle the outcome of a probe.

        Args:
            running: First slice of a trial, run again.
            outcome: Its outcome.
            is_over: Whether time is over, which may be why it failed.

        Raises:
            OutageError: Nothing works any more.
        """
        if outcome.failed is None:
            self.something_works(running)
        elif not is_over:
            self.nothing_works(running.trial, outcome.details or outcome.failed)

    def something_works(self, running: Running) -> None:
        """Handle a probe that worked."""
        self._many *= 2
        self.worked(running)

    def nothing_works(self, number: int, details: str) -> None:
        """Handle a probe that failed.

        Args:
            number: Trial whose first slice was run again.
            details: Why it failed.

        Raises:
            OutageError: Nothing works any more. It is not raised if no trial is suspended by now.
        """
        trials = self._ledger.history.trials
        if reasons := [str(trials[number].failed) for number in self._ledger.suspended]:
            raise outage(reasons, self._ledger.explain(number, details))

    def settle(self) -> None:
        """Record at the end which new trials have failed: if they are too few for an outage, all.

        The others are tried again if the search goes on.
        """
        if self._in_a_row < self._many:
            trials, suspended = self._ledger.history.trials, self._ledger.suspended
            self._have_failed(number for number in suspended if not trials[number].curve)

    def _have_failed(self, numbers: Iterable[int]) -> None:
        """Record that suspended trials have failed."""
        for number in [*numbers]:
            trial = self._ledger.history.trials[number]
            self._ledger.end(number, str(trial.failed), trial.failure)
