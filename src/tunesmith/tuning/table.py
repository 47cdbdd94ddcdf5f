"""What decisions read of trials, as columns: reading a thousand objects takes longer than deciding.

Letters: N = trials.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.tuning.cube import Floats
from tunesmith.tuning.habits import columns, slopes
from tunesmith.tuning.scale import Scale


@final
class Row(NamedTuple):
    """What decisions read of one trial.

    Attributes:
        at: Units of training so far.
        until: Units of training after the running slice; as ``at`` if none is running.
        seconds: Seconds of training.
        unit_s: Seconds that its next unit may take.
        first: First value; infinite if there is none.
        last: Last value; infinite if there is none.
        best: Lowest value; infinite if there is none.
        before: See `Fall`, and so are the next two.
        after: See `Fall`.
        folds: See `Fall`.
        is_failed: Whether it has failed.
        is_dropped: Whether its folder was removed.
        is_idle: Whether it is neither running nor failed, and its folder is there.
    """

    at: float
    until: float
    seconds: float
    unit_s: float
    first: float
    last: float
    best: float
    before: float
    after: float
    folds: float
    is_failed: float
    is_dropped: float
    is_idle: float


@final
class Table(NamedTuple):
    """The rows of trials, by column; see `Row`."""

    at_N: Floats
    until_N: Floats
    seconds_N: Floats
    unit_s_N: Floats
    first_N: Floats
    last_N: Floats
    best_N: Floats
    before_N: Floats
    after_N: Floats
    folds_N: Floats
    is_failed_N: Floats
    is_dropped_N: Floats
    is_idle_N: Floats

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """Put rows together."""
        return cls._of(columns(rows, len(Row._fields)))

    @classmethod
    def _of(cls, numbers_FN: Floats) -> Self:
        numbers_FN.flags.writeable = False  # samplers and schedulers of the user's own read it
        return cls(*numbers_FN)

    def slopes(self, scale: Scale) -> Floats:
        """Decrease of each trial per e-fold of training on a scale; see `slopes`."""
        return slopes(self.before_N, self.after_N, self.folds_N, scale)

    def take(self, numbers: Sequence[int] | NDArray[np.int64]) -> Self:
        """The table of some trials, by their numbers."""
        return self._of(np.array(self)[:, numbers])

    def added(self, row: Row) -> Self:
        """The table with another trial."""
        return self._of(np.column_stack([np.array(self), row]))

    def changed(self, number: int, row: Row) -> Self:
        """The table with another row of one trial."""
        numbers_FN = np.array(self)
        numbers_FN[:, number] = row
        return self._of(numbers_FN)
