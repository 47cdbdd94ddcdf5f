"""Find directions along which images form two groups with nothing between them.

Shape letters: N images, A values of each, S directions.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LEAST = 8  # images in a group
STEPS = 5  # of a search; in the last, hardly any image changes groups


@final
@dataclass(frozen=True, kw_only=True)
class Parted:
    """Images in two groups.

    Attributes:
        places: Indices of the smaller group, the farthest from the larger one first.
        apart: Separation: distance of the groups' means, divided by the sum of their standard
            deviations; 1.3 for one normal distribution cut in two.
    """

    places: NDArray[np.int64]
    apart: float


def part(s_N: Floats, least: int = LEAST) -> Parted:
    """Split numbers into an upper and a lower group of least variance (Otsu 1979).

    Args:
        s_N: Numbers; at least twice ``least`` of them.
        least: Minimum size of a group; fewer are outliers.

    Example:
        >>> part(np.array([0.1, 5.0, 0.0, 5.2, 0.2], np.float32), least=2).places
        array([3, 1])

    """
    order_N = np.argsort(-s_N, kind="stable")
    sorted_N = s_N[order_N].astype(np.float64)
    count_M = np.arange(1, len(s_N))  # size of the upper group, for each cut
    upper_M = np.cumsum(sorted_N)[:-1]
    lower_M = sorted_N.sum() - upper_M
    between_M = upper_M**2 / count_M + lower_M**2 / count_M[::-1]
    cut = int(between_M[least - 1 : len(s_N) - least].argmax()) + least
    upper, lower = sorted_N[:cut], sorted_N[cut:]
    apart = (upper.mean() - lower.mean()) / max(upper.std() + lower.std(), 1e-6)
    is_smaller = 2 * cut <= len(s_N)
    places = order_N[:cut] if is_smaller else order_N[cut:][::-1]
    return Parted(places=places, apart=float(apart))


def farthest_apart(z_NA: Floats, first_AS: Floats) -> Parted:
    """Find the best separated groups along any direction near the initial ones.

    Each step splits the images along a direction and turns it to the mean of the smaller group:
    in whitened data, no other direction separates this group better from the rest.

    Args:
        z_NA: Whitened values (mean 0, standard deviation 1, no correlation) of at least twice
            `LEAST` images.
        first_AS: Initial directions.
    """
    found = []
    for u_A in first_AS.T:
        for _ in range(STEPS):
            group_A = z_NA[part(z_NA @ u_A).places].mean(axis=0)
            u_A = group_A / np.linalg.norm(group_A).clip(1e-6)  # noqa: PLW2901 (it is turned)
        found.append(part(z_NA @ u_A))
    return max(found, key=lambda each: each.apart)
