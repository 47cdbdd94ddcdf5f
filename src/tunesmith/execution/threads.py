"""How many threads train, where other work may keep the cores busy.

A training step is a hundred short pieces, each split among the threads, and all wait for the last
one. Where another process has one of the cores, that wait is as long as the scheduler lets it have
it: two trainings beside each other then get not half, but a tenth of the speed. With fewer threads,
each has a core to itself and nobody waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, final

ALONE = 0.75  # of its threads' time that a training has had on the cores, where nothing else runs
AGAIN_S = 30.0  # until the next number of threads is tried again
TRY_S = 1.0  # that a try lasts


@final
@dataclass(frozen=True, kw_only=True)
class Threads:
    """How many threads train now, and what each number of them was measured to do.

    Attributes:
        cores: The most there may be.
        now: How many there are.
        rates: Images/s by number of threads, as measured last.
        tried: Number of threads before this try of another; None if there is no try.
        tried_s: The clock when another number was tried last.
    """

    cores: int
    now: int
    rates: Mapping[int, float] = field(default_factory=dict)
    tried: int | None = None
    tried_s: float = 0.0

    def after(self, rate: float, *, share: float, at_s: float) -> Self:
        """Decide how many threads go on after a stretch of training.

        The faster of two numbers goes on. Half as many are tried where these do not get the cores
        they ask for, and twice as many now and then, since other work may have ended.

        Args:
            rate: Images/s of the stretch.
            share: Seconds of the processor over those of all threads; see `share_of`.
            at_s: The clock.

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
    """Share of their time that threads had on the cores: waiting for others, they do not.

    Example:
        >>> share_of(processor_s=3.0, wall_s=2.0, threads=2)
        0.75

    """
    return processor_s / max(1e-9, wall_s * threads)
