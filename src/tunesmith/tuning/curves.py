"""A learning curve model of two numbers: the value, and how fast it falls, on the search's scale.

Letters: N = trials.
"""

from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.habits import Habits
from tunesmith.tuning.protocols import History
from tunesmith.tuning.scale import Scale
from tunesmith.tuning.table import Table

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
    def of(cls, table: Table, *, habits: Habits, scale: Scale) -> Self:
        """Summarize trials, each of which was measured at least once.

        Args:
            table: Measured trials.
            habits: What to expect, also of a trial with too few measurements for its own slope.
            scale: Scale of the habits, and of all values here.
        """
        slope_N = table.slopes(scale)
        return cls(
            at_N=table.at_N,
            best_N=scale(table.best_N),
            slope_N=np.where(np.isfinite(slope_N), slope_N, habits.slope),
            cost_N=np.maximum(table.seconds_N, 1e-9) / table.at_N,
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
    curves = Curves.of(history.sound, habits=history.habits, scale=history.scale)
    values_N[list(history.measured)] = history.scale.back(curves.mean(history.horizon))
    return values_N
