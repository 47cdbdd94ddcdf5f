"""Whether the test part looks like what is learned from."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import area_with_interval
from tunesmith.evaluation.ridge import fit_ridge

MATTERS = 0.6  # area under the ROC curve from which on the parts are called different


@final
@dataclass(frozen=True, kw_only=True)
class Shift:
    """How well a classifier tells the test part from the rest.

    Attributes:
        auc: Area under its ROC curve on images it had not seen: 0.5 where it cannot, 1 where it
            always can.
        low: Lower end of the 95 % interval.
        high: Upper end.
        images: How many it was asked about.
    """

    auc: float
    low: float
    high: float
    images: int

    @property
    def matters(self) -> bool:
        """Whether the parts surely differ by more than any two of the same kind."""
        return self.low > MATTERS


def find_shift(f_ND: NDArray[np.floating[Any]], tested_N: NDArray[np.bool_]) -> Shift | None:
    """Ask a linear classifier of which part images are.

    After Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests" (arXiv:1610.06545).

    Args:
        f_ND: Numbers that describe images, ``[N, D]``.
        tested_N: Whether each is of the test part.

    Returns:
        How well it can tell; None where a part has fewer than two images.

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
    z_N2 = fit_ridge(f_ND, tested_N.astype(np.int64), 2).z_NK
    auc, low, high = area_with_interval(z_N2[:, 1] - z_N2[:, 0], tested_N)
    return Shift(auc=auc, low=low, high=high, images=len(tested_N))
