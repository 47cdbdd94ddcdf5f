"""A slice that is running: its task for a worker, and its event for the journal."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from tunesmith.core.source import Code
from tunesmith.core.space import Config
from tunesmith.execution.executor import Outcome, Task
from tunesmith.records.events import SliceDone
from tunesmith.tuning.recorded import as_rows

SLICE = "tunesmith.tuning.slice:run_slice"


@final
@dataclass(frozen=True, kw_only=True)
class Running:
    """A slice that is running.

    Attributes:
        trial: Number of its trial.
        start: Units of training before it.
        until: Units of training after it.
        folder: Its working folder.
        is_cut: Whether the time left is shorter than a slice may take: that it does not end in time
            then says nothing about its trial.
        began_s: When it began, in seconds of the run.
    """

    trial: int
    start: int
    until: int
    folder: Path
    is_cut: bool
    began_s: float

    def task(
        self,
        function: str,
        config: Config,
        *,
        code: Code | None = None,
        deadline_s: float,
        whole_s: float = math.inf,
        is_fresh: bool = False,
    ) -> Task:
        """Make the task for a worker.

        Args:
            function: Reference to the user's function; see `load_function`.
            config: Config of the trial.
            code: Code that the function must have; None to run whatever it has.
            deadline_s: See `Task`.
            whole_s: See `Task`.
            is_fresh: See `Task`.
        """
        arguments: dict[str, Any] = {"function": function, "config": dict(config)}
        arguments |= {"folder": str(self.folder), "start": self.start, "until": self.until}
        arguments |= {"code": code and asdict(code)}
        return Task(
            key=str(self.trial),
            function=SLICE,
            arguments=arguments,
            needs=[function],
            deadline_s=deadline_s,
            whole_s=whole_s,
            is_fresh=is_fresh,
        )

    def is_cut_short(self, outcome: Outcome) -> bool:
        """Whether it only ran out of time, which says nothing about its trial."""
        return outcome.is_late and self.is_cut

    def done(self, outcome: Outcome) -> SliceDone:
        """Make the event for the journal, if it did not fail."""
        return SliceDone(
            trial=outcome.key,
            begin=self.start,
            end=self.until,
            seconds=outcome.seconds,
            checkpoint=str(self.until),
            rows=as_rows(outcome.value, self.start, self.until),
        )
