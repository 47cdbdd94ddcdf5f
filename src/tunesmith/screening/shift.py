"""Detect a distribution shift between the training set and the test set."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.areas import area_with_interval
from tunesmith.evaluation.ridge import fit_ridge

MATTERS = 0.6  # area under the ROC curve above which the sets count as different


@final
@dataclass(frozen=True, kw_only=True)
class Shift:
    """How well a classifier distinguishes the test set from the other images.

    Attributes:
        auc: Out-of-sample area under its ROC curve: 0.5 if it cannot, 1 if it always can.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    auc: float
    low: float
    high: float

    @property
    def matters(self) -> bool:
        """Whether the whole interval is above `MATTERS`, so that the sets clearly differ."""
        return self.low > MATTERS


def find_shift(f_ND: NDArray[np.floating[Any]], tested_N: NDArray[np.bool_]) -> Shift | None:
    """Test for a shift with a linear classifier that predicts the set of each image.

    After Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests" (arXiv:1610.06545).

    Args:
        f_ND: Image features, ``[N, D]``.
        tested_N: Whether each image is in the test set, ``[N]``.

    Returns:
        How well the classifier does; None if a set has fewer than two images.

    Example:
        >>> f_ND = np.random.default_rng(0).normal(size=(400, 3))
        >>> tested_N = np.arange(400) % 2 == 0
        >>> find_shift(f_ND, tested_N).matters
        False
        >>> find_shift(f_ND + 2 * tested_N[:, None], tested_N).matters
        True

    """
    if min(tested_N.sum(), (~tested_N).sum()) < 2:  # noqa: PLR2004 (a deviation needs two)
        return None
    z_N2 = fit_ridge(f_ND, tested_N.astype(np.int64), 2, alike=True).z_NK
    auc, low, high = area_with_interval(z_N2[:, 1] - z_N2[:, 0], tested_N)
    return Shift(auc=auc, low=low, high=high)
