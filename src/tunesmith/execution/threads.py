"""Choose the number of training threads, if other processes may keep the cores busy.

A training step is a hundred short operations, each split among the threads, and all wait for the
slowest one. If another process occupies a core, that wait lasts as long as the scheduler lets it
run: two trainings at the same time then get not half, but a tenth of the speed. With fewer threads,
each has a core to itself and none waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, final

ALONE = 0.75  # share of its threads' time that a training runs on the cores, if nothing else does
AGAIN_S = 30.0  # seconds until another number of threads is tested again
TRY_S = 1.0  # seconds that a test lasts


@final
@dataclass(frozen=True, kw_only=True)
class Threads:
    """Number of training threads, and the measured speed of each number.

    Attributes:
        cores: Maximum number of threads.
        now: Current number of threads.
        rates: Latest images/s, by number of threads.
        tried: Number of threads before the current test of another one; None if there is no test.
        tried_s: When another number was tested last, on the clock.
    """

    cores: int
    now: int
    rates: Mapping[int, float] = field(default_factory=dict)
    tried: int | None = None
    tried_s: float = 0.0

    def after(self, rate: float, *, share: float, at_s: float) -> Self:
        """Choose the number of threads after a stretch of training.

        The faster of two numbers is kept. Half as many are tested if the threads do not get enough
        of the cores, and twice as many from time to time, since other processes may have ended.

        Args:
            rate: Images/s of the stretch.
            share: CPU time over the time of all threads; see `share_of`.
            at_s: Current time on the clock.

        Example:
            >>> alone = Threads(cores=2, now=2)
            >>> alone.after(5000.0, share=0.97, at_s=60).now
            2
            >>> tries = alone.after(500.0, share=0.5, at_s=60)
            >>> tries.now, tries.after(2000.0, share=0.9, at_s=61).now
            (1, 1)
            >>> tries.now, tries.after(400.0, share=0.9, at_s=61).now
            (1, 2)

        """
        rates = {**self.rates, self.now: rate}
        if self.tried is not None:
            best = max((self.tried, self.now), key=lambda threads: rates[threads])
            return replace(self, now=best, rates=rates, tried=None)
        fewer, more = max(1, self.now // 2), min(self.cores, 2 * self.now)
        other = fewer if share < ALONE and fewer < self.now else more
        waited = at_s - self.tried_s >= AGAIN_S or other not in rates
        if other == self.now or not waited:
            return replace(self, rates=rates)
        return replace(self, now=other, rates=rates, tried=self.now, tried_s=at_s)


def share_of(processor_s: float, wall_s: float, threads: int) -> float:
    """Share of their time that threads ran on the cores; waiting for others, they do not.

    Example:
        >>> share_of(processor_s=3.0, wall_s=2.0, threads=2)
        0.75

    """
    return processor_s / max(1e-9, wall_s * threads)
