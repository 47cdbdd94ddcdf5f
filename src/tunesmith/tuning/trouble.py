"""What is done about slices that fail: trials are not blamed before it is known that they are."""

from collections.abc import Callable
from typing import final

from tunesmith.tuning.failures import check_failures, outage
from tunesmith.tuning.ledger import Ledger
from tunesmith.tuning.running import Running

MANY = 3  # trials that rest, after which it is seen whether anything works at all


@final
class Trouble:
    """Tries a trial that had trained once more, and blames it only while other slices work.

    A worker was killed, a device got lost, another program took the memory: nothing of that is a
    trial's fault, and what it has learned took time. So it is tried once more from its last
    finished block. If it fails there again, it rests, and nothing of it is removed. The next slice
    that works, of whatever trial, shows that it has failed.

    None of it is in the journal: a search that is killed meanwhile tries again, and ends the same.

    Args:
        ledger: What is known of the trials.
        say: Tells the user.
    """

    def __init__(self, ledger: Ledger, say: Callable[[str], None]) -> None:
        self._ledger, self._say = ledger, say
        self._doubted: set[int] = set()  # have failed once since their last finished block
        self._resting: dict[int, str] = {}  # have failed there twice, and why

    @property
    def suspect(self) -> int | None:
        """Number of a trial that rests, None if there is none."""
        return next(iter(self._resting), None)

    @property
    def is_large(self) -> bool:
        """Whether so many trials rest that it should be seen whether anything works."""
        return len(self._resting) >= MANY

    def may_repeat(self, running: Running) -> bool:
        """Whether a trial had trained before a slice, and has not failed in the same place."""
        return running.start > 0 and running.trial not in self._doubted

    def doubt(self, running: Running, reason: str, details: str = "") -> None:
        """Try a trial that had trained once more; let it rest if that was done."""
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
        """Write down that a trial has failed.

        Raises:
            SettingsError: That is no trial's fault.
        """
        self._ledger.end(number, reason)
        self._doubted.discard(number)
        self._say(f"Trial {number} failed. {reason}")
        check_failures(self._ledger.history, self._ledger.explain(number, details or reason))

    def worked(self, number: int) -> None:
        """A trial's slice has worked, so those that rest have failed."""
        for resting, reason in self._resting.items():
            self._ledger.end(resting, reason)
            self._doubted.discard(resting)
        self._resting = {}
        self._doubted.discard(number)

    def nothing_works(self, number: int, details: str) -> None:
        """The first slice of a trial that rests has failed, though it worked before.

        Raises:
            SettingsError: So that trial is not to blame; unless it was meanwhile.
        """
        if number in self._resting:
            raise outage(self._resting.values(), self._ledger.explain(number, details))
