"""A slice that is under way: what a worker is told of it, and what the journal is told after it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tunesmith.core.space import Config
from tunesmith.execution.executor import Outcome, Task
from tunesmith.records.events import SliceDone
from tunesmith.tuning.recorded import as_rows

SLICE = "tunesmith.tuning.slice:run_slice"


@final
@dataclass(frozen=True, kw_only=True)
class Running:
    """A slice that is under way.

    Attributes:
        trial: Its trial's number.
        start: Units of training before it.
        until: Units of training after it.
        folder: What it works on.
        is_cut: Whether it has no more time than a slice may take: that it is not over by then says
            nothing of its trial.
    """

    trial: int
    start: int
    until: int
    folder: Path
    is_cut: bool

    def task(
        self, function: str, config: Config, *, deadline_s: float, whole_s: float = math.inf
    ) -> Task:
        """What a worker runs.

        Args:
            function: The user's, as in `load_function`.
            config: The trial's.
            deadline_s: See `Task`.
            whole_s: The same.
        """
        arguments: dict[str, Any] = {"function": function, "config": dict(config)}
        arguments |= {"folder": str(self.folder), "start": self.start, "until": self.until}
        return Task(
            key=str(self.trial),
            function=SLICE,
            arguments=arguments,
            needs=[function],
            deadline_s=deadline_s,
            whole_s=whole_s,
        )

    def is_cut_short(self, outcome: Outcome) -> bool:
        """Whether it failed for want of time alone, which says nothing of its trial."""
        return outcome.is_late and self.is_cut

    def done(self, outcome: Outcome) -> SliceDone:
        """What the journal is told, where it did not fail."""
        return SliceDone(
            trial=outcome.key,
            begin=self.start,
            end=self.until,
            seconds=outcome.seconds,
            checkpoint=str(self.until),
            rows=as_rows(outcome.value, self.start, self.until),
        )
