"""Handle slices that fail: a trial has failed only if other slices still work."""

from collections.abc import Callable
from typing import final

from tunesmith.tuning.failures import check_failures, outage
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.recorded import NOT_FINITE
from tunesmith.tuning.running import Running

MANY = 3  # suspended trials after which a probe checks whether anything works at all


@final
class Trouble:
    """Retries a trial that had trained, and lets it fail only while other slices work.

    A killed worker, a lost device, or memory that another program took are not the trial's fault,
    and what it has learned took time. So it is retried once from its last finished block. If it
    fails there again, it is suspended, and nothing of it is removed. The next slice that works, of
    whatever trial, proves that it has failed.

    None of this is in the journal: a search that is killed meanwhile retries, and ends the same.

    Args:
        ledger: State of the trials.
        say: Shows a message to the user.
    """

    def __init__(self, ledger: Ledger, say: Callable[[str], None]) -> None:
        self._ledger, self._say = ledger, say
        self._doubted: set[int] = set()  # failed once since their last finished block
        self._resting: dict[int, str] = {}  # failed there twice -> why

    @property
    def suspect(self) -> int | None:
        """Number of a suspended trial; None if there is none."""
        return next(iter(self._resting), None)

    @property
    def is_large(self) -> bool:
        """Whether so many trials are suspended that a probe should check whether anything works."""
        return len(self._resting) >= MANY

    def may_repeat(self, running: Running) -> bool:
        """Whether a trial had trained before a slice, and has not failed in the same place."""
        return running.start > 0 and running.trial not in self._doubted

    def doubt(self, running: Running, reason: str, details: str = "") -> None:
        """Retry a trial that had trained; suspend it if it was retried already."""
        number, is_first = running.trial, self.may_repeat(running)
        self._ledger.put_back(running)
        self._ledger.explain(number, details or reason)
        self._doubted.add(number)
        if not is_first:
            self._ledger.set_aside(number, reason)
            self._resting[number] = reason
        then = ", and is tried once more" if is_first else " again"
        self._say(f"Trial {number} failed after {running.start} units{then}. {reason}")

    def end(self, number: int, reason: str, details: str = "") -> None:
        """Record that a trial has failed.

        Raises:
            SettingsError: The failures have a common cause.
        """
        self._ledger.end(number, reason)
        self._doubted.discard(number)
        self._say(f"Trial {number} failed. {reason}")
        check_failures(self._ledger.history, self._ledger.explain(number, details or reason))

    def diverged(self, running: Running) -> None:
        """Handle values that are not finite: the slice is not recorded, nor what it left kept."""
        if self.may_repeat(running):
            self.doubt(running, NOT_FINITE)
        else:
            self.end(running.trial, NOT_FINITE)

    def worked(self, number: int) -> None:
        """Record that a trial's slice has worked: the suspended trials have failed."""
        for resting, reason in self._resting.items():
            self._ledger.end(resting, reason)
            self._doubted.discard(resting)
        self._resting = {}
        self._doubted.discard(number)

    def nothing_works(self, number: int, details: str) -> None:
        """Handle a failed probe: the first slice of a suspended trial, which worked before.

        Raises:
            SettingsError: Nothing works any more. It is not raised if the trial has failed
                meanwhile.
        """
        if number in self._resting:
            raise outage(self._resting.values(), self._ledger.explain(number, details))
