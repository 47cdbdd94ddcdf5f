"""One clock for everything: the budget, and where each second went."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import final


def process_age() -> float:
    """Seconds since this process was started, or 0 where the system does not say.

    Importing packages counts as work: the budget starts when the user pressed Enter.
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
    """Counts a run's live seconds and books them to phases.

    Args:
        budget: Seconds this run may take, earlier sessions of the same run included.
        spent: Seconds already spent when the clock is made: by earlier sessions, and by starting
            the process.
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

    def __post_init__(self) -> None:
        self._started = self.now()

    def elapsed(self) -> float:
        """Seconds of this run so far, earlier sessions included."""
        return self.spent + self.now() - self._started

    def left(self) -> float:
        """Seconds until the budget ends; negative when it is over."""
        return self.budget - self.elapsed()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Book the seconds of a block to the phase ``name``, but for those of phases inside it."""
        begin, before = self.now(), sum(self.phases.values())
        try:
            yield
        finally:
            inside = sum(self.phases.values()) - before
            self.phases[name] = self.phases.get(name, 0.0) + self.now() - begin - inside
