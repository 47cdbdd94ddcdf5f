"""What the learning curves of a search have in common, learned from those that trained further.

Letters: P = forecasts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.tuning.cube import Floats

# Curves flatten: each further e-fold of training gains less than the last doubling suggests. How
# much less differs: some have converged after a tenth of the training, others never do.
GAIN = 0.4  # before any curve has shown it; counts as one forecast


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
    def of(cls, slopes: Sequence[float], forecasts: Sequence[tuple[float, float]]) -> Self:
        """Learn them from the trials' slopes and all their forecasts; some may not be finite."""
        known = [slope for slope in slopes if math.isfinite(slope)]
        known_P2 = np.array(forecasts, dtype=np.float64).reshape(-1, 2)
        promised_P, came_P = known_P2[np.isfinite(known_P2).all(axis=1)].T
        return cls(slope=float(np.median(known)) if known else 0.0, gain=_gain(promised_P, came_P))


def _gain(promised_P: Floats, came_P: Floats) -> float:
    """Fit the share by least squares of relative errors; small decreases are mostly noise."""
    least = float(np.median(promised_P[promised_P > 0])) if (promised_P > 0).any() else math.inf
    x_P, y_P = (d_P / np.maximum(promised_P, least) for d_P in (promised_P, came_P))
    return float(np.clip((x_P @ y_P + GAIN) / (x_P @ x_P + 1), 0, 1))
