"""Simulated tuning on recorded learning curves, to compare samplers and schedulers in seconds.

Letters: N = recorded configs, T = units of training, D = fields of the space.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from tunesmith.core.space import Config, Space
from tunesmith.tuning.cube import Floats, encode
from tunesmith.tuning.protocols import (
    History,
    Observation,
    Sampler,
    Scheduler,
    Start,
    Stop,
    Trial,
)


@final
@dataclass(frozen=True, kw_only=True)
class Recording:
    """Recorded trainings, each of one config from its first unit to the horizon.

    Attributes:
        space: Search space.
        configs: The ``N`` configs.
        values_NT: Value after each unit; lower is better.
        seconds_N: Seconds per unit.
    """

    space: Space
    configs: Sequence[Config]
    values_NT: Floats
    seconds_N: Floats


@final
@dataclass(frozen=True, kw_only=True, order=True)
class Measured:
    """One unit of a training, as it was measured.

    Attributes:
        time: End of the unit on the virtual clock, in seconds.
        trial: Number of the trial.
        at: Units of training.
        value: Measured value.
        row: Index of the recorded config.
    """

    time: float
    trial: int
    at: int
    value: float
    row: int


def simulate(
    recording: Recording,
    sampler: Sampler,
    scheduler: Scheduler,
    *,
    budget: float,
    workers: int = 1,
    seed: int = 0,
) -> list[Measured]:
    """Tune on recorded trainings, until the budget is spent or nothing is left to run.

    A proposal is replaced by the nearest recorded config that is not taken yet, which is also what
    the sampler sees. Pausing and resuming cost nothing.

    Args:
        recording: The trainings.
        sampler: Proposes configs.
        scheduler: Decides which trial trains.
        budget: Seconds on the virtual clock.
        workers: Number of workers.
        seed: Random seed.

    Returns:
        Every unit of training that was over within the budget, in order of time.
    """
    pool = Pool(encode(recording.space, recording.configs))
    history, now = History(horizon=recording.values_NT.shape[1]), 0.0
    running: list[tuple[float, int]] = []  # a heap of (end of a slice, number of its trial)
    measured: list[Measured] = []
    while now < budget:
        spent, may_start = now / budget, not pool.is_empty
        decision = (
            scheduler(history, spent=spent, may_start=may_start, seed=seed)
            if len(running) < workers
            else Stop("All workers are busy.")
        )
        if isinstance(decision, Stop):
            if not running:
                break
            now, number = heapq.heappop(running)
            history = _told(history, number, recording, pool.taken[number])
            continue
        if isinstance(decision, Start):
            wanted = sampler(recording.space, history, seed=seed)
            row, number = pool.take(encode(recording.space, [wanted])[0]), len(history.trials)
            history = history.started(recording.configs[row], until=decision.until)
        else:
            row, number = pool.taken[decision.trial], decision.trial
            history = history.resumed(number, until=decision.until)
        curve, each = _slice(recording, row, history.trials[number]), recording.seconds_N[row]
        heapq.heappush(running, (now + float(each) * len(curve), number))
        measured += _units(curve, number, row, begin=now, each=float(each))
    return sorted(m for m in measured if m.time <= budget)


def _units(
    curve: Sequence[Observation], number: int, row: int, *, begin: float, each: float
) -> list[Measured]:
    """Return the units of a slice of a trial, each of which takes so many seconds."""
    return [
        Measured(time=begin + each * done, trial=number, at=point.at, value=point.value, row=row)
        for done, point in enumerate(curve, start=1)
    ]


def _slice(recording: Recording, row: int, trial: Trial) -> tuple[Observation, ...]:
    """Return what a trial's running slice will measure, up to the first non-finite value."""
    assert trial.until is not None
    values_T = recording.values_NT[row, trial.at : trial.until]
    bad_B = np.flatnonzero(~np.isfinite(values_T))
    values = values_T[: bad_B[0] + 1 if len(bad_B) else None].tolist()
    return tuple(Observation(at=trial.at + n, value=v) for n, v in enumerate(values, start=1))


def _told(history: History, number: int, recording: Recording, row: int) -> History:
    """Return the history after a slice has ended."""
    curve = _slice(recording, row, history.trials[number])
    seconds = float(recording.seconds_N[row]) * len(curve)
    history = history.observed(number, curve, seconds=seconds)
    if math.isfinite(curve[-1].value):
        return history
    return history.failed(number, "It gave a value that is not finite.")


@final
class Pool:
    """Recorded configs, each of which can be taken once.

    Args:
        x_ND: Their points in the unit cube.
    """

    def __init__(self, x_ND: Floats) -> None:
        self._x_ND = x_ND
        self._is_free_N = np.ones(len(x_ND), dtype=bool)
        self.taken: list[int] = []

    @property
    def is_empty(self) -> bool:
        """Whether every config is taken."""
        return len(self.taken) == len(self._x_ND)

    def take(self, x_D: Floats) -> int:
        """Take the nearest config that is free."""
        distance_N = ((self._x_ND - x_D) ** 2).sum(axis=1)
        row = int(np.argmin(np.where(self._is_free_N, distance_N, np.inf)))
        self._is_free_N[row] = False
        self.taken.append(row)
        return row
