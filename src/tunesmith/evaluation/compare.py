"""Whether one model is better than another by more than chance."""

import math

import numpy as np
from numpy.typing import NDArray

SURE = 0.05  # a difference that chance brings about less often than that counts


def mcnemar(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> float:
    """Probability that chance alone makes two models differ as much on the same images.

    Only images that one of them gets right tell anything (McNemar 1947); if the two are equally
    good, each of these is one's or the other's with probability one half. Exact and two-sided.

    Args:
        one_N: Whether one model is right, for each image.
        other_N: The same for the other.

    Example:
        >>> one, other = np.array([True] * 8), np.array([True] * 2 + [False] * 6)
        >>> mcnemar(one, other), mcnemar(one, one)
        (0.03125, 1.0)

    """
    wins, losses = int((one_N & ~other_N).sum()), int((other_N & ~one_N).sum())
    count = wins + losses
    tail = sum(math.comb(count, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << count))


def is_better(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> bool:
    """Whether the first of two models is right more often, by more than chance."""
    return bool(one_N.sum() > other_N.sum()) and mcnemar(one_N, other_N) < SURE
