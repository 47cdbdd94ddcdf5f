"""Train a fixed number of trials, to compare sequential with parallel training."""

from dataclasses import dataclass
from typing import final

from tunesmith.tuning.protocols import Decision, History, Resume, Start, Stop


@final
@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Trains the first trials that do not fail until ``until`` units, in blocks, and no further.

    Attributes:
        first: Number of the first trial that counts; those before it are left alone.
        trials: Number of trials.
        block: Units per slice.
        until: Units of training per trial.
    """

    first: int = 0
    trials: int
    block: int
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
        sound = [
            number
            for number, trial in enumerate(history.trials)
            if number >= self.first and trial.failed is None
        ]
        ours, paused = sound[: self.trials], history.paused()
        for number in ours:
            at = history.trials[number].at
            if number in paused and at < self.until:
                return Resume(number, min(self.until, at + self.block))
        if may_start and len(ours) < self.trials:
            return Start(self.block)
        return Stop("The first trials were trained as far as they should be.")
