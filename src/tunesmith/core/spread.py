"""Evenly spaced entries of an array that may be sorted."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def spread(places: NDArray[T], count: int) -> NDArray[T]:
    """Take up to ``count`` evenly spaced entries, in order.

    Files are sorted by class, so the first thousand would cover only a few classes.

    Example:
        >>> spread(np.arange(10), 4)
        array([0, 2, 5, 7])
        >>> spread(np.arange(3), 4)
        array([0, 1, 2])

    """
    chosen: NDArray[Any] = np.linspace(0, len(places), min(count, len(places)), endpoint=False)
    return places[chosen.astype(np.int64)]
