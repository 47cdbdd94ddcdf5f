"""Areas under ROC curves, with confidence intervals.

Shape letters: N images, U scores that some of them have.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import Z_95


def area_with_interval(
    score_N: NDArray[np.floating[Any]], is_one_N: NDArray[np.bool_], *, z: float = Z_95
) -> tuple[float, float, float]:
    """Area under the ROC curve of a score, and its confidence interval.

    By DeLong, DeLong and Clarke-Pearson 1988, with the ranks of Sun and Xu 2014.

    Args:
        score_N: Score of each image; larger for positives.
        is_one_N: Whether each image is a positive; at least one is and one is not.
        z: Quantile of the standard normal distribution; the default gives 95 %.

    Example:
        >>> area, low, high = area_with_interval(np.arange(10.0), np.arange(10) > 5)
        >>> area
        1.0

    """
    return area_of_counts(score_N, is_one_N, ~is_one_N, z=z)


def area_of_counts(
    score_U: NDArray[np.floating[Any]],
    ones_U: NDArray[np.integer[Any] | np.bool_],
    others_U: NDArray[np.integer[Any] | np.bool_],
    *,
    z: float = Z_95,
) -> tuple[float, float, float]:
    """`area_with_interval` of images that are counted by their score.

    Args:
        score_U: Scores, in any order.
        ones_U: Number of positives with each; one at least.
        others_U: Number of other images with each; one at least.
        z: Quantile of the standard normal distribution; the default gives 95 %.

    Example:
        >>> area_of_counts(np.array([0.1, 0.7]), np.array([10, 30]), np.array([60, 0]))[0]
        0.875

    """
    _, place_U = np.unique(score_U, return_inverse=True)
    one_U, other_U = (
        np.bincount(place_U, weights=each_U).astype(np.float64) for each_U in (ones_U, others_U)
    )
    ones, others = float(one_U.sum()), float(other_U.sum())
    # Twice the number of the others on the right side, since one with the same score counts half.
    below_U = 2 * np.cumsum(other_U) - other_U
    above_U = 2 * (ones - np.cumsum(one_U)) + one_U
    variance = _variance(below_U, one_U, 2 * others) / ones
    variance += _variance(above_U, other_U, 2 * ones) / others
    area, half = float(one_U @ below_U) / (2 * ones * others), z * math.sqrt(variance)
    return area, max(0.0, area - half), min(1.0, area + half)


def _variance(x_U: NDArray[np.float64], count_U: NDArray[np.float64], scale: float) -> float:
    """Variance of whole numbers over ``scale``, by how often each occurs.

    If all are equal, that with two more shares from 0 to 1, one of them different.
    """
    count = float(count_U.sum())
    squares = float(count_U @ (x_U - count_U @ x_U / count) ** 2)
    return squares / max(1.0, count - 1) / scale**2 or 1 / (count + 2)
