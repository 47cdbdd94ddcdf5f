"""Asynchronous successive halving with promotions: Li et al. 2020 (MLSys), algorithm 2."""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

from tunesmith.tuning.protocols import Decision, History, Resume, Start, Stop

ETA = 3  # one in so many trials is promoted


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

    The way to a rung is trained in blocks, and a trial on its way continues before anything else.
    In one go, the way could be half of a training, for which there is no time left at the end.

    Attributes:
        first: The first rung, as a share of the horizon.
        block: Training between two decisions, as a share of the horizon.
    """

    first: float = 0.02
    block: float = 0.04

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
        trials, paused = history.trials, set(history.paused())
        # After a crash, a trial may not have reached the first rung: it is still on its way there.
        if begun := [number for number in paused if trials[number].at not in steps]:
            return self._on(history, max(begun, key=lambda n: (trials[n].at, -n)))
        for at, after in reversed(list(pairwise(steps))):
            there = [n for n, trial in enumerate(trials) if trial.at >= at]
            there.sort(key=lambda n: trials[n].best_until(at))
            for number in there[: len(there) // ETA]:
                if number in paused and trials[number].at < after:
                    return self._on(history, number)
        if may_start:
            return Start(min(steps[0], self._units(history)))
        if not paused:
            return Stop("No trial is left that could train on.")
        return self._on(history, min(paused, key=lambda n: (-trials[n].at, trials[n].best)))

    def _on(self, history: History, number: int) -> Resume:
        """Resume a trial towards its next rung."""
        at = history.trials[number].at
        step = next(step for step in rungs(history.horizon, self.first) if step > at)
        return Resume(number, min(step, at + self._units(history)))

    def _units(self, history: History) -> int:
        return max(1, round(self.block * history.horizon))


FULL = ASHA(first=1.0, block=1.0)  # one rung: each trial is trained to the end, one after the other
