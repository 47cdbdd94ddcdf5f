"""Classes that turn into each other when images are changed. Shape letter: K classes."""

import numpy as np
from numpy.typing import NDArray

TELLING = 10  # images of a class that show what its changed ones are taken for, at least


def swapped(plain_KK: NDArray[np.integer], changed_KK: NDArray[np.integer]) -> float | None:
    """Return how much of two classes a change exchanges at most, as mirroring exchanges arrows.

    If changed images of a class look like those of another one, changed images of that one look
    like the first: both ways, images are taken for the other class. What is merely unfamiliar, such
    as a shoe that faces the other way, is taken for this or that class, but nothing comes back. So
    the rarer way counts, beyond what is confused without the change.

    Args:
        plain_KK: Numbers of unchanged images by true and predicted class.
        changed_KK: The same of changed ones.

    Returns:
        A share of a class's images; None if classes with `TELLING` images or more hold less than
        half of all images.

    Example:
        >>> plain = np.diag([20, 20, 20])  # arrows to the left, arrows to the right, hats
        >>> swapped(plain, np.array([[1, 19, 0], [18, 2, 0], [10, 0, 10]]))
        0.9

    """
    count_K = plain_KK.sum(1)
    telling_K = count_K >= TELLING
    if 2 * count_K[telling_K].sum() < count_K.sum():
        return None
    more_KK = _both_ways(changed_KK) - _both_ways(plain_KK)
    np.fill_diagonal(more_KK, 0.0)
    return float(more_KK[np.ix_(telling_K, telling_K)].max(initial=0.0))


def _both_ways(confusion_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Shares of images that are taken for another class, the smaller one of both directions."""
    share_KK = confusion_KK / np.maximum(1, confusion_KK.sum(1, keepdims=True))
    both_KK: NDArray[np.float64] = np.minimum(share_KK, share_KK.T)
    return both_KK
