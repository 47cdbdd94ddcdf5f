"""No scheduler: every trial is trained to the end, one after the other."""

from dataclasses import dataclass
from typing import final

from tunesmith.tuning.protocols import Decision, GoOn, History, Start, Stop


@final
@dataclass(frozen=True)
class Full:
    """Trains every trial to the horizon."""

    def __call__(
        self,
        history: History,
        *,
        spent: float,  # noqa: ARG002 (part of the protocol)
        may_start: bool,
        seed: int,  # noqa: ARG002 (part of the protocol)
    ) -> Decision:
        """Decide what to run next; see `Scheduler`."""
        if paused := history.paused():  # a crash left it so
            return GoOn(paused[0], history.horizon)
        return Start(history.horizon) if may_start else Stop("Every trial is trained to the end.")
