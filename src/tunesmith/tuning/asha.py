"""Asynchronous successive halving, the form that promotes: Li et al. 2020 (MLSys), algorithm 2."""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

from tunesmith.tuning.protocols import Decision, GoOn, History, Start, Stop

ETA = 3  # one in so many is promoted


def rungs(horizon: int, first: float) -> list[int]:
    """Units of training at which trials are compared, the horizon last.

    Example:
        >>> rungs(50, 0.02), rungs(50, 0.04)
        ([1, 3, 9, 27, 50], [2, 6, 18, 50])

    """
    at, steps = max(1.0, first * horizon), []
    while round(at) < horizon:
        steps.append(round(at))
        at *= ETA
    return [*steps, horizon]


@final
@dataclass(frozen=True)
class ASHA:
    """Promotes a trial to the next rung as soon as it is among the best third of its own.

    Attributes:
        first: The first rung, as a share of the horizon.
    """

    first: float = 0.02

    def __call__(
        self,
        history: History,
        *,
        spent: float,  # noqa: ARG002 (part of the protocol)
        may_start: bool,
        seed: int,  # noqa: ARG002 (part of the protocol)
    ) -> Decision:
        """Decide what to run next; see `Scheduler`."""
        steps = rungs(history.horizon, self.first)
        paused = set(history.paused())
        if lost := [number for number in paused if history.trials[number].at == 0]:
            return GoOn(min(lost), steps[0])  # a crash took its first rung
        for at, after in reversed(list(pairwise(steps))):
            there = [n for n, trial in enumerate(history.trials) if trial.at >= at]
            there.sort(key=lambda n: history.trials[n].best_until(at))
            for number in there[: len(there) // ETA]:
                if number in paused and history.trials[number].at < after:
                    return GoOn(number, after)
        if may_start:
            return Start(steps[0])
        if not paused:
            return Stop("Every trial is trained to the end.")
        best = min(paused, key=lambda n: (-history.trials[n].at, history.trials[n].best))
        return GoOn(best, next(step for step in steps if step > history.trials[best].at))


FULL = ASHA(first=1.0)  # one rung: every trial is trained to the end, one after the other
