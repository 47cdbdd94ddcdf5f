"""A learning curve model of two numbers: the value, and how fast it falls.

How much of such a slope curves keep is learned from those that were trained further.

Letters: N = trials, P = forecasts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.protocols import History, Trial

# Curves flatten: each further e-fold of training gains less than the last doubling suggests. How
# much less differs: some have converged after a tenth of the training, others never do.
GAIN = 0.4  # before any curve has shown it; counts as one forecast
DOUBT = 0.5  # uncertainty, in units of the slope


@final
@dataclass(frozen=True, kw_only=True)
class Habits:
    """What curves of a search have in common.

    Attributes:
        slope: Median slope; 0 if none is known.
        gain: Share of the decrease that slopes promised, and that came, from 0 to 1.
    """

    slope: float = 0.0
    gain: float = GAIN

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Self:
        """Learn them from measured trials."""
        slopes = [trial.slope for trial in trials if not math.isnan(trial.slope)]
        pairs = [pair for trial in trials for pair in trial.forecasts]
        promised_P, came_P = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return cls(
            slope=float(np.median(slopes)) if slopes else 0.0, gain=_gain(promised_P, came_P)
        )


def _gain(promised_P: Floats, came_P: Floats) -> float:
    """Fit the share by least squares of relative errors; small decreases are mostly noise."""
    least = float(np.median(promised_P[promised_P > 0])) if (promised_P > 0).any() else math.inf
    x_P, y_P = (d_P / np.maximum(promised_P, least) for d_P in (promised_P, came_P))
    return float(np.clip((x_P @ y_P + GAIN) / (x_P @ x_P + 1), 0, 1))


@final
@dataclass(frozen=True, kw_only=True)
class Curves:
    """Trials that were measured, and predictions of their values.

    Attributes:
        at_N: Units of training so far.
        best_N: The lowest value so far; infinite if none was finite.
        slope_N: Decrease of the value per e-fold of training.
        cost_N: Seconds per unit of training.
        gain: Share of a slope's decrease to expect; see `Habits`.
    """

    at_N: Floats
    best_N: Floats
    slope_N: Floats
    cost_N: Floats
    gain: float

    @classmethod
    def of(cls, trials: Sequence[Trial], *, habits: Habits) -> Self:
        """Summarize trials, each of which was measured at least once.

        Args:
            trials: Measured trials.
            habits: What to expect, also of a trial with too few measurements for its own slope.
        """
        slope_N = np.array([trial.slope for trial in trials])
        at_N = np.array([trial.at for trial in trials], dtype=np.float64)
        return cls(
            at_N=at_N,
            best_N=np.array([trial.best for trial in trials]),
            slope_N=np.where(np.isnan(slope_N), habits.slope, slope_N),
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
    values_N = np.full(len(history.trials), np.inf)
    sound = [
        number
        for number, trial in enumerate(history.trials)
        if trial.failed is None and math.isfinite(trial.best)
    ]
    trials = [history.trials[number] for number in sound]
    values_N[sound] = Curves.of(trials, habits=Habits.of(trials)).mean(history.horizon)
    return values_N
