"""What the learning curves of a search have in common, learned from those that trained further.

Letters: P = forecasts.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, final

import numpy as np

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.scale import Scale

# Curves flatten: each further e-fold of training gains less than the last doubling suggests. How
# much less differs: some have converged after a tenth of the training, others never do.
GAIN = 0.4  # before any curve has shown it; counts as one forecast


class Fall(NamedTuple):
    """How a curve fell over its last doubling of training, or from the last value before it.

    Attributes:
        before: Lowest value before; infinite if there is none.
        after: Lowest value after it.
        folds: E-folds of training between.
    """

    before: float
    after: float
    folds: float


class Forecast(NamedTuple):
    """What a fall promised, and what came.

    Attributes:
        before: As of the fall, and so are the next two.
        after: See `Fall`.
        folds: See `Fall`.
        since: E-folds of training since then.
        now: Lowest value after them.
    """

    before: float
    after: float
    folds: float
    since: float
    now: float


def slopes(before_N: Floats, after_N: Floats, folds_N: Floats, scale: Scale) -> Floats:
    """Decrease per e-fold of training on a scale; NaN where a curve has no value before.

    Args:
        before_N: Values of falls; see `Fall`, also for the next two.
        after_N: See `Fall`.
        folds_N: See `Fall`.
        scale: Scale of the values.
    """
    known_N = np.isfinite(before_N)
    high_N, low_N = scale(np.where(known_N, (before_N, after_N), 0.0))
    slope_N: Floats = (high_N - low_N) / folds_N
    return slope_N


def columns(rows: Sequence[tuple[float, ...]], count: int) -> Floats:
    """Columns of rows: many times as fast as NumPy turns tuples into an array."""
    numbers = itertools.chain.from_iterable(rows)
    return np.fromiter(numbers, np.float64, len(rows) * count).reshape(-1, count).T


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
    def of(cls, slope_N: Floats, forecasts: Sequence[Forecast], scale: Scale) -> Self:
        """Learn them from how the trials fell, and from all their forecasts.

        Args:
            slope_N: Slope of each trial; see `slopes`.
            forecasts: The forecasts.
            scale: Scale of both.
        """
        known_N = slope_N[np.isfinite(slope_N)]
        slope = float(np.median(known_N)) if len(known_N) else 0.0
        before_P, then_P, folds_P, since_P, now_P = columns(forecasts, len(Forecast._fields))
        promised_P = slopes(before_P, then_P, folds_P, scale) * since_P
        return cls(slope=slope, gain=_gain(promised_P, scale(then_P) - scale(now_P)))


def _gain(promised_P: Floats, came_P: Floats) -> float:
    """Fit the share by least squares of relative errors; small decreases are mostly noise."""
    least = float(np.median(promised_P[promised_P > 0])) if (promised_P > 0).any() else math.inf
    x_P, y_P = (d_P / np.maximum(promised_P, least) for d_P in (promised_P, came_P))
    return float(np.clip((x_P @ y_P + GAIN) / (x_P @ x_P + 1), 0, 1))
