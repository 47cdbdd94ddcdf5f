"""The scale on which values of a search are compared: what is good counts, however bad the rest."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike

from tunesmith.tuning.cube import Floats


@final
@dataclass(frozen=True, kw_only=True)
class Scale:
    """How far values are above the lowest: in spreads of the good ones, then logarithmically.

    Among good values, a step of 1 is their spread. Above them, it is a factor: a loss that falls
    from 1000 to 500 tells as much as one from 10 to 5, not a hundred times as much, so that trials
    that diverge or begin very high decide nothing among the others.

    Attributes:
        lowest: The lowest value of all.
        spread: Difference of good values and the lowest; positive.
    """

    lowest: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, best: ArrayLike) -> Self:
        """Return the scale of trials with these lowest values, all of them finite.

        The trials that count as good are the better half.
        """
        best_N = np.asarray(best, np.float64)
        if not len(best_N):
            return cls()
        lowest, middle = float(best_N.min()), float(np.median(best_N))
        return cls(lowest=lowest, spread=max(middle - lowest, 1e-9 * abs(lowest), 1e-30))

    def __call__(self, values: ArrayLike) -> Floats:
        """Return values on this scale; those below the lowest count as that.

        Example:
            >>> Scale(lowest=1.0, spread=2.0)([1.0, 3.0, 1.0]).round(2).tolist()
            [0.0, 1.0, 0.0]

        """
        above = np.maximum(np.asarray(values, np.float64) - self.lowest, 0.0) / self.spread
        found: Floats = np.minimum(above, 1 + np.log(np.maximum(above, 1)))
        return found

    def back(self, places: Floats) -> Floats:
        """Return the values that are there on this scale.

        Example:
            >>> scale = Scale(lowest=1.0, spread=2.0)
            >>> scale.back(scale([1.0, 3.0, 100.0])).round(2).tolist()
            [1.0, 3.0, 100.0]

        """
        above = np.where(places > 1, np.exp(np.maximum(places, 1) - 1), places)
        return self.lowest + self.spread * above
