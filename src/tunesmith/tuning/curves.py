"""A learning curve model of two numbers: the value, and how fast it falls.

Letters: N = trials.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.protocols import History, Trial

# Curves flatten: each further e-fold of training gains less than the last doubling suggests, and
# the uncertainty is about as large as the gain.
GAIN, DOUBT = 0.6, 0.5


@final
@dataclass(frozen=True, kw_only=True)
class Curves:
    """Trials that were measured, and predictions of their values.

    Attributes:
        at_N: Units of training so far.
        best_N: The lowest value so far; infinite if none was finite.
        slope_N: Decrease of the value per e-fold of training.
        cost_N: Seconds per unit of training.
    """

    at_N: Floats
    best_N: Floats
    slope_N: Floats
    cost_N: Floats

    @classmethod
    def of(cls, trials: Sequence[Trial], *, typical: float) -> Self:
        """Summarize trials, each of which was measured at least once.

        Args:
            trials: Measured trials.
            typical: Slope of a trial with too few measurements for its own.
        """
        slope_N = np.array([trial.slope for trial in trials])
        at_N = np.array([trial.at for trial in trials], dtype=np.float64)
        return cls(
            at_N=at_N,
            best_N=np.array([trial.best for trial in trials]),
            slope_N=np.where(np.isnan(slope_N), typical, slope_N),
            cost_N=np.maximum(np.array([trial.seconds for trial in trials]), 1e-9) / at_N,
        )

    def mean(self, to: Floats | float) -> Floats:
        """Expected value after ``to`` units of training."""
        return self.best_N - GAIN * self.slope_N * np.log(to / self.at_N)

    def doubt(self, to: Floats | float) -> Floats:
        """Standard deviation of that, as far as it comes from the unknown rest of the curve."""
        return DOUBT * self.slope_N * np.log(to / self.at_N)


def typical_slope(trials: Sequence[Trial]) -> float:
    """Median slope of the trials for which it is known; 0 if there are none."""
    slopes = [trial.slope for trial in trials if not math.isnan(trial.slope)]
    return float(np.median(slopes)) if slopes else 0.0


def expected(history: History) -> Floats:
    """Expected value of each trial at the horizon; infinite if it failed or was not measured."""
    values_N = np.full(len(history.trials), np.inf)
    sound = [
        number
        for number, trial in enumerate(history.trials)
        if trial.failed is None and math.isfinite(trial.best)
    ]
    trials = [history.trials[number] for number in sound]
    values_N[sound] = Curves.of(trials, typical=typical_slope(trials)).mean(history.horizon)
    return values_N
