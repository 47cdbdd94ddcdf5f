"""One clock for the time budget and the time spent in each phase."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import final


def process_age() -> float:
    """Seconds since this process started, or 0 if the system does not report it.

    Importing packages counts too: the budget starts when the user presses Enter.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 (not a real file)
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        import os

        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


@final
@dataclass
class Clock:
    """Tracks a run's active seconds and assigns them to phases.

    Args:
        budget: Time limit of the run in seconds, earlier sessions included.
        spent: Seconds used before the clock was created: by earlier sessions and process startup.
        now: A monotonic clock, in seconds. Tests pass their own.

    Example:
        >>> ticks = iter([0.0, 1.0, 4.0, 5.0])
        >>> clock = Clock(budget=10, now=lambda: next(ticks))
        >>> with clock.phase("train"):
        ...     pass
        >>> clock.phases, clock.left()
        ({'train': 3.0}, 5.0)

    """

    budget: float
    spent: float = 0.0
    now: Callable[[], float] = time.monotonic
    phases: dict[str, float] = field(default_factory=dict)
    _started: float = field(init=False)
    _open: str | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._started = self.now()

    def elapsed(self) -> float:
        """Active seconds of this run so far, earlier sessions included."""
        return self.spent + self.now() - self._started

    def left(self) -> float:
        """Seconds left in the budget; negative once it is exceeded."""
        return self.budget - self.elapsed()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the duration of a block to the phase ``name``, excluding nested phases."""
        outer = self._open
        self._turn_to(name)
        try:
            yield
        finally:
            self._turn_to(outer)

    def phases_so_far(self) -> dict[str, float]:
        """Seconds by phase until now, those of the phases that are not over included."""
        return self._booked(self.now())

    def _turn_to(self, name: str | None) -> None:
        now = self.now()
        self.phases = self._booked(now)
        self._open, self._since = name, now

    def _booked(self, now: float) -> dict[str, float]:
        if self._open is None:
            return dict(self.phases)
        return self.phases | {self._open: self.phases.get(self._open, 0.0) + now - self._since}
