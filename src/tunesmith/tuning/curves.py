"""A learning curve model of two numbers: the value, and how fast it falls, on the search's scale.

Letters: N = trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.habits import Fall, Habits, columns, slopes
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.scale import Scale

DOUBT = 0.5  # uncertainty, in units of the slope


@final
@dataclass(frozen=True, kw_only=True)
class Curves:
    """Trials that were measured, and predictions of their values, on the scale of the search.

    Attributes:
        at_N: Units of training so far.
        best_N: The lowest value so far; infinite if none was finite.
        slope_N: Decrease per e-fold of training.
        cost_N: Seconds per unit of training.
        gain: Share of a slope's decrease to expect; see `Habits`.
    """

    at_N: Floats
    best_N: Floats
    slope_N: Floats
    cost_N: Floats
    gain: float

    @classmethod
    def of(cls, trials: Sequence[Trial], *, habits: Habits, scale: Scale) -> Self:
        """Summarize trials, each of which was measured at least once.

        Args:
            trials: Measured trials.
            habits: What to expect, also of a trial with too few measurements for its own slope.
            scale: Scale of the habits, and of all values here.
        """
        slope_N = slopes(columns([trial.fall for trial in trials], len(Fall._fields)), scale)
        at_N = np.array([trial.at for trial in trials], dtype=np.float64)
        return cls(
            at_N=at_N,
            best_N=scale([trial.best for trial in trials]),
            slope_N=np.where(np.isfinite(slope_N), slope_N, habits.slope),
            cost_N=np.maximum(np.array([trial.seconds for trial in trials]), 1e-9) / at_N,
            gain=habits.gain,
        )

    def mean(self, to: Floats | float) -> Floats:
        """Expected value after ``to`` units of training."""
        return self.best_N - self.gain * self.slope_N * np.log(to / self.at_N)

    def doubt(self, to: Floats | float) -> Floats:
        """Standard deviation of that, as far as it comes from the unknown rest of the curve."""
        return DOUBT * self.slope_N * np.log(to / self.at_N)


def expected(history: History) -> Floats:
    """Expected value of each trial at the horizon; infinite if it failed or was not measured."""
    values_N, measured = np.full(len(history.trials), np.inf), list(history.measured)
    trials = [history.trials[number] for number in measured]
    curves = Curves.of(trials, habits=history.habits, scale=history.scale)
    values_N[measured] = history.scale.back(curves.mean(history.horizon))
    return values_N
