"""A learning curve in two numbers: where it is, and how fast it falls.

Letters: N = trials.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.protocols import History, Trial

# A curve flattens: each further e-fold of training brings less than the last doubling promised, and
# one knows only about as well as that.
GAIN, DOUBT = 0.6, 0.5


@final
@dataclass(frozen=True, kw_only=True)
class Curves:
    """Trials that were measured, and what is to be expected of them.

    Attributes:
        at_N: Units of training.
        best_N: The lowest value so far; infinite if none was finite.
        slope_N: How much that falls for each e-fold of training.
        cost_N: Seconds for each unit.
    """

    at_N: Floats
    best_N: Floats
    slope_N: Floats
    cost_N: Floats

    @classmethod
    def of(cls, trials: Sequence[Trial], *, typical: float) -> Self:
        """Sum up trials, each of which was measured at least once.

        Args:
            trials: To sum up.
            typical: Slope of one that was measured too seldom to know its own.
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
        """The value to expect after so many units of training."""
        return self.best_N - GAIN * self.slope_N * np.log(to / self.at_N)

    def doubt(self, to: Floats | float) -> Floats:
        """Standard deviation of that, as far as it comes from not knowing how the curve goes on."""
        return DOUBT * self.slope_N * np.log(to / self.at_N)


def typical_slope(trials: Sequence[Trial]) -> float:
    """The median slope of those trials that know their own; 0 if none does."""
    slopes = [trial.slope for trial in trials if not math.isnan(trial.slope)]
    return float(np.median(slopes)) if slopes else 0.0


def expected(history: History) -> Floats:
    """The value to expect of each trial at the horizon; infinite where nothing is to be expected.

    That is where it failed, or was not measured yet.
    """
    values_N = np.full(len(history.trials), np.inf)
    sound = [
        number
        for number, trial in enumerate(history.trials)
        if trial.failed is None and math.isfinite(trial.best)
    ]
    trials = [history.trials[number] for number in sound]
    values_N[sound] = Curves.of(trials, typical=typical_slope(trials)).mean(history.horizon)
    return values_N
