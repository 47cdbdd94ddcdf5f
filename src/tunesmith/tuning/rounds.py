"""The first trials side by side, so that training them one by one or at once can be compared."""

from dataclasses import dataclass
from typing import final

from tunesmith.tuning.protocols import Decision, GoOn, History, Start, Stop


@final
@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Trains the first trials that do not fail until some unit, and no further.

    Attributes:
        trials: How many.
        until: Units of training.
    """

    trials: int
    until: int

    def __call__(
        self,
        history: History,
        *,
        spent: float,  # noqa: ARG002 (part of the protocol)
        may_start: bool,
        seed: int,  # noqa: ARG002 (part of the protocol)
    ) -> Decision:
        """Decide what to run next; see `Scheduler`."""
        sound = [number for number, trial in enumerate(history.trials) if trial.failed is None]
        first, paused = sound[: self.trials], history.paused()
        for number in first:
            if number in paused and history.trials[number].at < self.until:
                return GoOn(number, self.until)
        if may_start and len(first) < self.trials:
            return Start(self.until)
        return Stop("The first trials were trained as far as they should be.")
