"""Find classes whose images form two groups in a network's features, as poisoned classes do.

A network that responds to a trigger predicts the attacker's class for another reason than the
content of that class. So in the input of its last layer, poisoned images move away from the rest of
their class along one direction (Tran, Li and Madry 2018, "Spectral signatures in backdoor attacks",
arXiv:1811.00636) and form a cluster of their own (Chen et al. 2018, "Detecting backdoor attacks on
deep neural networks by activation clustering", arXiv:1811.03728). Both are lost among the
directions along which any class varies, so these are removed first (Hayase, Kong, Somani and Oh
2021, "SPECTRE", arXiv:2104.11315): a class is whitened by the covariance of the other classes,
which its own poison does not affect. Without that, the groups of poisoned classes were never
farther apart than those of clean ones.

Shape letters: N images, M of one class, D features, A axes, K classes.
"""

import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.parting import Parted, farthest_apart

Floats = NDArray[np.float32]

# Axes of largest variance within classes, and images per axis; with fewer, noise forms groups too.
AXES, PER_AXIS = 64, 5
BEGUN = 3  # principal directions of a class from which the search starts
LEAST = 0.01  # share of the mean variance added to each axis, since few images underestimate it
LEAST_COUNT = 100  # images of a class; fewer form groups by chance
APART = 2.5  # see `Parted`; clean classes reached up to 2.1


def part_classes(f_ND: Floats, labels_N: NDArray[np.int64], classes: int) -> tuple[Parted, ...]:
    """Split each class into its two best separated groups.

    Args:
        f_ND: Features: the input of a network's last layer.
        labels_N: Class of each image.
        classes: Number of classes K.

    Returns:
        For each class, the images of its smaller group, the farthest from the other first, and the
        separation of both. A class with too few images has no such images, and separation 0.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> f_ND = rng.normal(size=(600, 8)).astype(np.float32)
        >>> f_ND[:30] += [6, 0, 0, 0, 0, 0, 0, 6]
        >>> one, other = part_classes(f_ND, np.repeat([0, 1], 300), 2)
        >>> sorted(one.places) == list(range(30)), one.apart > APART, other.apart > APART
        (True, True, False)

    """
    sums_KD = np.zeros((classes, f_ND.shape[1]), np.float32)
    np.add.at(sums_KD, labels_N, f_ND)
    counts_K = np.bincount(labels_N, minlength=classes)
    r_ND = f_ND - (sums_KD / counts_K.clip(1)[:, None])[labels_N]
    _, axes_DD = np.linalg.eigh(r_ND.T @ r_ND)
    r_NA = r_ND @ axes_DD[:, -AXES:]  # those of largest variance come last
    return tuple(_part(r_NA, labels_N == k) for k in range(classes))


def _part(r_NA: Floats, is_own_N: NDArray[np.bool_]) -> Parted:
    own = np.flatnonzero(is_own_N)
    r_NA = r_NA[:, -min(AXES, max(1, len(own) // PER_AXIS)) :]
    others_XA = r_NA[~is_own_N]
    if min(len(own), len(others_XA)) < LEAST_COUNT or not r_NA.size:
        return Parted(places=own[:0], apart=0.0)
    spread_AA = others_XA.T @ others_XA / len(others_XA)
    spread_AA += LEAST * spread_AA.trace() / len(spread_AA) * np.eye(len(spread_AA))
    z_MA = np.linalg.solve(np.linalg.cholesky(spread_AA), r_NA[own].T).T.astype(np.float32)
    _, axes_AA = np.linalg.eigh(z_MA.T @ z_MA)
    found = farthest_apart(z_MA, axes_AA[:, -BEGUN:])
    return Parted(places=own[found.places], apart=found.apart)
