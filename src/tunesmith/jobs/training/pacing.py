"""Adapt the number of training threads to the load of the machine, slice by slice."""

import time
from dataclasses import dataclass, field
from typing import final

import torch

from tunesmith.core.clock import Clock
from tunesmith.core.cores import cores
from tunesmith.execution.threads import TRY_S, Threads, share_of


def _now() -> Threads:
    return Threads(cores=cores(), now=torch.get_num_threads())


@final
@dataclass(kw_only=True)
class Pacing:
    """Measures each slice, and sets the number of threads for the next.

    Attributes:
        clock: Clock of the run.
        is_fixed: Whether the number of threads is fixed, so that nothing depends on the machine's
            speed.
        threads: Number of threads, and what was measured.
        took_s: Seconds that the last slice took.
        changed: Whether the next slice has another number of threads than the last one.
    """

    clock: Clock
    is_fixed: bool
    threads: Threads = field(default_factory=_now)
    took_s: float = 0.0
    changed: bool = False
    began_s: float = 0.0
    batches_s: float = 0.0
    used_s: float = 0.0

    @property
    def is_steady(self) -> bool:
        """Whether all threads that there may be are used, and no other number is tested."""
        is_whole = self.threads.tried is None and self.threads.now == self.threads.cores
        return self.is_fixed or is_whole

    def begin(self) -> None:
        """Begin to measure a slice."""
        self.began_s, self.used_s = self.clock.elapsed(), time.process_time()
        self.batches_s = 0.0

    def is_over(self) -> bool:
        """Whether the slice must end, since a test of another number of threads is short.

        Called before each batch. The time of a test begins with its first batch, so that one is
        trained in any case, however long it took to build the network.
        """
        if self.threads.tried is None:
            return False
        now = self.clock.elapsed()
        self.batches_s = self.batches_s or now
        return now >= self.batches_s + TRY_S

    def end(self, examples: int, *, adapts: bool = True) -> None:
        """End the measurement of a slice. The first one does not count: it loads libraries too.

        Args:
            examples: Number of examples of the slice.
            adapts: Whether the number of threads may change; compiled code depends on it.
        """
        now, before, is_first = self.clock.elapsed(), self.threads.now, self.took_s == 0.0
        self.took_s = max(1e-6, now - self.began_s)
        self.changed = False
        if self.is_fixed or is_first or not adapts:
            return
        share = share_of(time.process_time() - self.used_s, self.took_s, before)
        self.threads = self.threads.after(examples / self.took_s, share=share, at_s=now)
        self.changed = self.threads.now != before
        torch.set_num_threads(self.threads.now)
