"""Check that enough images can be used, and group duplicates."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.folders import listed
from tunesmith.data.loaded import Rejected
from tunesmith.data.source import Given, Source

MOST_BAD = 0.10  # share of all images; more points to a problem beyond single files
EXAMPLES = 3  # rejected images that a message names


def check(source: Source, rejected: Sequence[Rejected], kept: NDArray[np.int64]) -> None:
    """Stop before training if too many images cannot be decoded.

    Args:
        source: Source of the images.
        rejected: Images that cannot be decoded.
        kept: Source indices of the images that can be decoded.

    Raises:
        SourceError: More than 10 % cannot be decoded, a class has fewer than two images left, or a
            predefined test set has none left.
    """
    total = len(rejected) + len(kept)
    bad_K = np.bincount(
        source.labels[[r.index for r in rejected]] if rejected else [],
        minlength=len(source.classes),
    )
    left_K = np.bincount(source.labels[kept], minlength=len(source.classes))
    gone = [f"`{source.classes[k]}`{_of_all(int(bad_K[k]))}" for k in np.flatnonzero(left_K == 0)]
    if gone:
        raise SourceError(
            "Every class needs images that can be decoded, but none is left of "
            f"{listed(gone)}.{_examples(rejected)} {_way_out(rejected)}"
        )
    if len(rejected) > MOST_BAD * total:
        share = 100 * len(rejected) / total
        raise SourceError(
            f"{len(rejected):,} of {total:,} images ({share:.1f} %) cannot be decoded, which is "
            f"more than {100 * MOST_BAD:.0f} %.{_examples(rejected)} {_way_out(rejected)}"
        )
    tested = int((source.given == Given.TEST).sum())
    if tested and not (source.given[kept] == Given.TEST).any():
        raise SourceError(
            f"A model is tested on the test part that is given, but none of its {tested:,} images "
            f"can be decoded.{_examples(rejected)} {_way_out(rejected)}"
        )
    single = [f"`{source.classes[k]}`" for k in np.flatnonzero(left_K == 1)]
    if single:
        raise SourceError(
            "Every class needs at least 2 images, one to learn from and one to test on, but only "
            f"1 can be used of {listed(single)}.{_examples(rejected)} Add images, or remove the "
            "class."
        )


def twins(pixels_NHWC: NDArray[np.uint8], labels_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Assign exact duplicates, that is images with equal pixels, to groups.

    Duplicates share a group even if their labels differ: the same image must not be in both the
    training set and the test set.

    Args:
        pixels_NHWC: Images; may be memory-mapped.
        labels_N: Class of each image; only the length is used.

    Returns:
        Group of each image ``[N]``, numbered from 0 in the order of their first images.

    Raises:
        ValueError: The lengths differ.

    Example:
        >>> x_NHWC = np.array([7, 3, 7, 5], dtype=np.uint8).reshape(4, 1, 1, 1)
        >>> twins(x_NHWC, np.zeros(4, np.int64))
        array([0, 1, 0, 2])

    """
    if len(pixels_NHWC) != len(labels_N):
        raise ValueError(
            f"Each image needs a label, but got {len(pixels_NHWC)} images and {len(labels_N)}."
        )
    # BLAKE2b (RFC 7693): 16 bytes of 10^9 different images collide with probability 10^-21.
    groups: dict[bytes, int] = {}
    numbers = (
        groups.setdefault(
            hashlib.blake2b(np.ascontiguousarray(x_HWC).data, digest_size=16).digest(), len(groups)
        )
        for x_HWC in pixels_NHWC
    )
    return np.fromiter(numbers, np.int64, len(pixels_NHWC))


def joined(
    groups_N: NDArray[np.int64], stated: NDArray[np.int64] | None, kept: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Merge the groups of duplicates with the groups that the source states.

    Args:
        groups_N: Duplicate group of each remaining image.
        stated: Group that the source states for each of its images, or None.
        kept: Source indices of the remaining images, ``[N]``.

    Example:
        >>> joined(np.array([0, 1, 0, 2]), np.array([5, 5, 6, 7]), np.arange(4))
        array([0, 0, 0, 1])

    """
    if stated is None:
        return groups_N
    _, first, number_N = np.unique(stated[kept], return_index=True, return_inverse=True)
    return merged(groups_N, np.stack([first[number_N], np.arange(len(kept))], axis=1))


def merged(groups_N: NDArray[np.int64], pairs_P2: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge the groups of the two images of each pair.

    Example:
        >>> merged(np.array([0, 1, 0, 2, 3]), np.array([[1, 2]]))
        array([0, 0, 0, 1, 2])

    """
    if not len(pairs_P2):
        return groups_N
    from scipy.sparse import coo_array  # takes 0.2 s, and few data sets need it
    from scipy.sparse.csgraph import connected_components

    count = int(groups_N.max()) + 1
    ends_2P = groups_N[pairs_P2].T
    graph = coo_array((np.ones(len(pairs_P2)), (ends_2P[0], ends_2P[1])), shape=(count, count))
    _, number = connected_components(graph, directed=False)
    together_N: NDArray[np.int64] = number[groups_N].astype(np.int64)
    return together_N


def one_of_each(groups_N: NDArray[np.int64], kinds_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of one image of each kind in each group.

    Example:
        >>> one_of_each(np.array([0, 0, 0, 1]), np.array([1, 0, 1, 1]))
        array([0, 1, 3])

    """
    _, first = np.unique(groups_N * (kinds_N.max(initial=0) + 1) + kinds_N, return_index=True)
    return np.sort(first)


def bearing(groups_N: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of some images and of all others in their groups, in the order of the former.

    Example:
        >>> bearing(np.array([0, 1, 0, 2, 1]), np.array([4, 0]))
        array([1, 4, 0, 2])

    """
    rank_G = np.full(groups_N.max(initial=-1) + 1, -1)
    rank_G[groups_N[places]] = np.arange(len(places))
    rank_N = rank_G[groups_N]
    order_N = np.argsort(rank_N, kind="stable")
    return order_N[rank_N[order_N] >= 0]


def _of_all(bad: int) -> str:
    return f" (of {bad:,})" if bad else " (it had none)"


def _examples(rejected: Sequence[Rejected]) -> str:
    if not rejected:
        return ""
    shown = "; ".join(f"{r.name}: {r.reason}" for r in rejected[:EXAMPLES])
    return f" The first: {shown}."


def _way_out(rejected: Sequence[Rejected]) -> str:
    if rejected:
        return "See quarantine.csv in the run's folder for all of them; mend or remove them."
    return "Add images, or remove the class."
