"""Handle slices that fail: a trial has failed only if other slices still work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import final

from tunesmith.core.words import counted
from tunesmith.execution.executor import Outcome
from tunesmith.tuning.failures import check_failures
from tunesmith.tuning.folders import TrialFolderError
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.protocols import Resume
from tunesmith.tuning.recorded import NOT_FINITE
from tunesmith.tuning.running import Running
from tunesmith.tuning.suspended import Suspended

OUTSIDE = {"memory", "killed", "ended", "silent"}  # failures that may have a cause outside


@final
class Trouble:
    """Retries a trial that had trained, and lets trials fail only while other slices work.

    A killed worker, a lost device, or memory that another program took are not the trial's fault,
    and what it has learned took time. So it is retried once from its last finished block. If it
    fails there again, it is suspended, and nothing of it is removed; see `Suspended`.

    None of this is in the journal: a search that is killed meanwhile retries, and ends the same.

    A new trial is retried if its process ended, or had too little memory: what ran there before may
    have taken it. The retry has a process of its own. If the function raised, or took too long, it
    is not retried, unless it is trial 0, the defaults, which may have failed for a passing reason.
    It is suspended too, if anything has worked before: what it needs may be lost since.

    Args:
        ledger: State of the trials.
        suspended: Trials that count as failed for now.
        say: Shows a message to the user.

    Attributes:
        doubts: Reasons of failures that were not held against their trials, in their order.
    """

    def __init__(self, ledger: Ledger, suspended: Suspended, say: Callable[[str], None]) -> None:
        self._ledger, self._suspended, self._say = ledger, suspended, say
        self.doubts: list[str] = []
        # Trials that failed once since their last finished block -> until where they are to train.
        self._doubted: dict[int, int] = {}

    @property
    def again(self) -> Resume | None:
        """First slice of a new trial, to retry before anything else; None if there is none."""
        trials = self._ledger.history.trials
        for number, until in self._doubted.items():
            if not trials[number].curve and trials[number].until is None:
                return Resume(number, until)
        return None

    def is_doubted(self, number: int) -> bool:
        """Whether a trial has failed since its last finished block."""
        return number in self._doubted

    def failed(self, running: Running, outcome: Outcome, *, is_over: bool = False) -> None:
        """Handle a slice that failed: retry its trial, suspend it, or record that it has failed.

        If it only ran out of time, or if all time is over, its trial stays where it was.
        """
        if running.is_cut_short(outcome) or (is_over and outcome.is_late):
            self._ledger.put_back(running)
        elif is_over:
            self._put_back(running, outcome)
        elif running.start or self._may_repeat(running, outcome):
            self._doubt(running, outcome)
        elif outcome.failure == "limit" or not any(t.curve for t in self._ledger.history.trials):
            self._end(running.trial, outcome)
        else:
            self._suspend(running, outcome)
            self._say(f"Trial {running.trial} failed. {outcome.failed}")

    def diverged(self, running: Running, outcome: Outcome) -> None:
        """Handle values that are not finite: the slice is not recorded, nor what it left kept."""
        told = replace(outcome, value=None, failed=NOT_FINITE, failure="diverged")
        if self._may_repeat(running, told):
            self._doubt(running, told)
        else:
            self._end(running.trial, told)

    @contextmanager
    def guarding(self, number: int) -> Iterator[None]:
        """Let a trial fail if its folder cannot be used in a block: a retry could not either.

        Raises:
            SettingsError: The failures have a common cause.
        """
        try:
            yield
        except TrialFolderError as error:
            key, failed = str(number), str(error)
            self._end(number, Outcome(key=key, seconds=0.0, failed=failed, failure="raised"))

    def _may_repeat(self, running: Running, outcome: Outcome) -> bool:
        """Whether a slice may have failed by no fault of its trial, for the first time there."""
        is_default = running.trial == 0 and not outcome.is_late
        is_innocent = running.start > 0 or is_default or outcome.failure in OUTSIDE
        return is_innocent and running.trial not in self._doubted

    def _doubt(self, running: Running, outcome: Outcome) -> None:
        """Retry a trial; suspend it if it was retried already."""
        number, reason = running.trial, str(outcome.failed)
        is_first = not self.is_doubted(number)
        if is_first:
            self._put_back(running, outcome)
            self._doubted[number] = running.until
        else:
            self._suspend(running, outcome)
        where = f"after {counted(running.start, 'unit')}" if running.start else "in its first slice"
        then = ", and is tried once more" if is_first else " again"
        self._say(f"Trial {number} failed {where}{then}. {reason}")

    def _suspend(self, running: Running, outcome: Outcome) -> None:
        """Let a trial count as failed for now."""
        self._put_back(running, outcome)
        self._doubted.pop(running.trial, None)
        self._suspended.add(running.trial, outcome)

    def _put_back(self, running: Running, outcome: Outcome) -> None:
        """Pause a trial where it was before a slice that failed."""
        reason = str(outcome.failed)
        self._ledger.put_back(running)
        self._ledger.explain(running.trial, outcome.details or reason)
        self.doubts.append(reason)

    def _end(self, number: int, outcome: Outcome) -> None:
        """Record that a trial has failed.

        Raises:
            SettingsError: The failures have a common cause.
        """
        reason = str(outcome.failed)
        where = self._ledger.explain(number, outcome.details or reason)
        self._ledger.end(number, reason, outcome.failure)
        self._doubted.pop(number, None)
        self._say(f"Trial {number} failed. {reason}")
        check_failures(self._ledger.history, where)

    def worked(self, running: Running) -> None:
        """Record that a trial's slice has worked."""
        self._doubted.pop(running.trial, None)
        self._suspended.worked(running)
