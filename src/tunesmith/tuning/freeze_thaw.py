"""Freeze-thaw: train everything in small blocks, and always continue what is most promising.

Swersky et al. 2014, with the random horizon and threshold of Rakotoarison et al. 2024 (ifBO) as the
acquisition function, on a curve model of two numbers.

Letters: N = trials.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.tuning.asha import ETA
from tunesmith.tuning.cube import Floats
from tunesmith.tuning.curves import Curves
from tunesmith.tuning.protocols import Decision, History, Resume, Start, Stop, Trial
from tunesmith.tuning.table import Row, Table

FIRST = 5  # trials to start before any is resumed
# Up to so many trials, least share of the time for starts, the blocks that show slopes included.
FEW, FEWEST_STARTS = 10, 0.25
RECENT = 30  # most recent trials, whose first blocks predict that of a new one
NOISE = 0.01  # noise of a measured value, over the spread of good values
# Improvement to hope for, as a share of that spread: from 10**-1 to 10**0. Less hope continues what
# is good already, and finds less in the end (`benchmarks/tuning.py`).
HOPE = (-1.0, 0.0)
FAR = -5.0  # standard deviations beyond which a probability is computed by its logarithm
GREEDY = 0.5  # share of the blocks that go to the best trial, at the end of the budget


@final
@dataclass(frozen=True)
class FreezeThaw:
    """Gives the next block to the trial that is most likely to beat the best value, per second.

    A paused trial competes with a new one, which is expected to do as well as those started last.
    Where a first block brings a single value, whose slope is unknown, the best third go on at once,
    as in successive halving. How far to look ahead, and how large an improvement to hope for, are
    drawn anew for each decision, so that no single choice has to be right. Decisions do not change
    if all values are scaled or shifted.

    Attributes:
        block: Training between two decisions, as a share of the horizon.
    """

    block: float = 0.04

    def __call__(self, history: History, *, spent: float, may_start: bool, seed: int) -> Decision:
        """Decide what to run next; see `Scheduler`."""
        trials, block = history.trials, max(1, round(self.block * history.horizon))
        paused, done = history.paused(), int(history.table.until_N.sum())
        waiting = history.table.take(paused)
        is_new_N = (waiting.at_N > 0) & (waiting.at_N <= block) & np.isinf(waiting.before_N)
        new = np.array(paused, np.int64)[is_new_N]
        if len(ready := np.intersect1d(new, _good_firsts(history.table))):
            number = int(ready[0])
            return Resume(number, min(history.horizon, trials[number].at + block))
        if may_start and (not paused or _are_few(trials, done, block)):
            return Start(block)
        if not paused:
            return Stop("No trial is left that could train on.")
        best = paused[int(np.lexsort((waiting.best_N, waiting.at_N > 0))[0])]
        rng = np.random.default_rng(derive(seed, "freeze-thaw", len(trials), done))
        if trials[best].at > 0 and rng.random() >= GREEDY * spent:
            outlook = _Outlook.drawn(history, block, rng)
            gains_N = outlook.log_gain(waiting)
            fresh = _fresh(trials, block) if may_start else []
            # If no first block was measured, another one shows what to expect.
            if may_start and (
                not fresh or _log_mean(outlook.log_gain(Table.of(fresh))) > gains_N.max()
            ):
                return Start(block)
            best = paused[int(np.argmax(gains_N))]
        return Resume(best, min(history.horizon, trials[best].at + block))


@final
@dataclass(frozen=True, kw_only=True)
class _Outlook:
    """What one decision looks for.

    Attributes:
        history: The trials, with the scale of their values.
        ahead: Units of training to look ahead.
        threshold: Value to beat, on that scale.
    """

    history: History
    ahead: int
    threshold: float

    @classmethod
    def drawn(cls, history: History, block: int, rng: np.random.Generator) -> Self:
        """Draw how far to look ahead, and how large an improvement to hope for.

        A running trial counts with its expected value at the next pause. A failed one does not
        count, since its value cannot be reached any more.
        """
        curves = Curves.of(history.sound, habits=history.habits, scale=history.scale)
        best = curves.mean(history.sound.until_N).min(initial=math.inf)
        return cls(
            history=history,
            ahead=block * int(rng.integers(1, max(2, history.horizon // block + 1))),
            threshold=best - 10 ** rng.uniform(*HOPE),
        )

    def log_gain(self, table: Table) -> Floats:
        """Logarithm of each trial's probability to beat the threshold, per second."""
        curves = Curves.of(table, habits=self.history.habits, scale=self.history.scale)
        to_N = np.minimum(curves.at_N + self.ahead, self.history.horizon)
        doubt_N = NOISE + curves.doubt(to_N)
        log_N: Floats = _log_normal((self.threshold - curves.mean(to_N)) / doubt_N)
        return log_N - np.log(curves.cost_N)


def _are_few(trials: Sequence[Trial], done: int, block: int) -> bool:
    """Whether another trial is due before any goes on, after so many units of training."""
    if len(trials) >= FEW:
        return False
    each = max((_judged_at(trial, block) for trial in trials), default=block)
    return len(trials) < FIRST or done * FEWEST_STARTS >= each * (len(trials) - FIRST + 1)


def _good_firsts(table: Table) -> NDArray[np.int64]:
    """Numbers of the third of the trials, rounded up, whose first values are best."""
    sound = np.flatnonzero(np.isfinite(table.first_N) & (table.is_failed_N == 0))
    order = sound[np.argsort(table.first_N[sound], kind="stable")]
    return order[: math.ceil(len(order) / ETA)]


def _judged_at(trial: Trial, block: int) -> int:
    """Units of training after which a trial competes: two blocks if one did not show a slope."""
    if not trial.curve or trial.curve[0].at <= block // 2:
        return block
    return min(2 * block, max(block, trial.at))


def _fresh(trials: Sequence[Trial], block: int) -> list[Row]:
    """The most recent trials as they were when they were first judged, if they were."""
    judged = (t for t in reversed(trials) if t.at >= block and t.curve[0].at <= block)
    return [trial.row_after(_judged_at(trial, block)) for trial in islice(judged, RECENT)][::-1]


def _log_normal(z_N: Floats) -> Floats:
    """Logarithm of the probability that a standard normal number is below ``z``."""
    near_N, far_N = np.maximum(z_N, FAR), np.clip(z_N, -1e9, FAR)
    below_N = np.array([*map(math.erfc, (-near_N / math.sqrt(2)).tolist())]) / 2
    # A lower bound, within a thousandth there, where `below` would underflow.
    tail_N = np.log(-far_N / (1 + far_N**2)) - far_N**2 / 2 - math.log(math.sqrt(2 * math.pi))
    log_N: Floats = np.where(z_N < FAR, tail_N, np.log(below_N))
    return log_N


def _log_mean(log_N: Floats) -> float:
    """Logarithm of the mean of numbers given by their logarithms."""
    top = log_N.max()
    return float(top + np.log(np.exp(log_N - top).mean()))
