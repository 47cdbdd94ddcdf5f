"""Find shortcuts: clues, such as a file's suffix, that reveal the class without the pixels.

Shape letters: N images, V values of each, U different sets of values, B ranges of a value or words,
K classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.areas import area_of_counts

Places = NDArray[np.int64]

ONE_SIDED = 0.025  # chance of a false alarm, over all classes and clues
BINS = 12  # distinct values of each number or word, at most
MOST, PER_CLASS = 20_000, 60  # images used; or that many per class, if that is more
# Penalty of the ridge regression, as a multiple of the number of images. Where a clue says much
# about the class, leave-one-out predictions choose this one among 0.01 to 30.
PENALTY = 0.01
FEWEST = 20  # evaluation images that a class needs
# Lower end of an AUC's interval that always suffices: with few images it never gets close to 1, and
# the most obvious clue would never be reported.
SURE = 0.9


@final
@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A clue, and the class that it reveals best.

    Attributes:
        clue: Name of the clue.
        label: Class that it reveals best.
        auc: Area under the ROC curve of a one-vs-rest classifier that sees only the clue, on
            held-out images: 0.5 is chance.
    """

    clue: str
    label: int
    auc: float


def find_shortcuts(
    clues: Mapping[str, NDArray[Any] | Sequence[NDArray[Any]]],
    y_N: NDArray[np.int64],
    classes: int,
    *,
    allowed: Mapping[str, float],
) -> tuple[Shortcut, ...]:
    """Find the clues that reveal a class better than allowed.

    Args:
        clues: Name -> one or several values per image, numbers or words, ``[N]`` or ``[N, V]``.
            For a clue of both numbers and words, a sequence of such arrays.
        y_N: Class of each image.
        classes: Number of classes K.
        allowed: Name -> AUC that a clue may reach before it is reported. The lower end of the AUC's
            interval must exceed it too, or `SURE`. The interval's level is such that one false
            alarm is expected in forty data sets, whatever their number of classes.

    Example:
        >>> y_N = np.arange(600) % 3
        >>> ending_N = np.where(y_N == 2, "png", "jpg")
        >>> find_shortcuts({"ending": ending_N}, y_N, 3, allowed={"ending": 0.6})
        (Shortcut(clue='ending', label=2, auc=1.0),)

    """
    learned, asked, known = _drawn(y_N, classes)
    found = []
    level = 1 - ONE_SIDED / max(1, len(known) * len(clues))
    z = NormalDist().inv_cdf(level)
    for name, values in clues.items():
        f_UB, set_N = _told_apart(values)
        if not f_UB.shape[1] or not len(known):
            continue
        a_UB, w_BK = _fitted(f_UB, set_N[learned], y_N[learned], classes)
        counts = _counted(set_N[asked], y_N[asked], known, len(f_UB))
        areas = [
            area_of_counts(a_UB @ w_BK[:, k], own_U, other_U, z=z)
            for k, (own_U, other_U) in zip(known, counts, strict=True)
        ]
        told = [
            (low, auc, int(k))
            for k, (auc, low, _) in zip(known, areas, strict=True)
            if auc > allowed[name] and low > min(allowed[name], SURE)
        ]
        if told:
            _, auc, label = max(told)
            found.append(Shortcut(clue=name, label=label, auc=auc))
    return tuple(sorted(found, key=lambda each: -each.auc))


def can_ask(y_N: NDArray[np.int64], classes: int) -> bool:
    """Whether any class has enough images for `find_shortcuts`.

    Example:
        >>> can_ask(np.arange(90) % 2, 2), can_ask(np.arange(30) % 2, 2)
        (True, False)

    """
    return len(_drawn(y_N, classes)[2]) > 0


def _drawn(y_N: Places, classes: int) -> tuple[Places, Places, Places]:
    """Indices of training images and of evaluation images, and the classes to evaluate."""
    most = max(MOST, PER_CLASS * classes)
    order_N = np.random.default_rng(0).permutation(len(y_N))[:most]
    learned, asked = np.array_split(order_N, 2)
    counts_K = np.bincount(y_N[asked], minlength=classes)
    return learned, asked, np.flatnonzero((counts_K >= FEWEST) & (counts_K < len(asked)))


def _counted(
    set_N: Places, y_N: Places, known: Places, sets: int
) -> Iterator[tuple[Places, Places]]:
    """Count images of each class to evaluate, and all others, by their set of values ``[U]``."""
    all_U = np.bincount(set_N, minlength=sets)
    for k in known:
        own_U = np.bincount(set_N[y_N == k], minlength=sets)
        yield own_U, all_U - own_U


def _fitted(
    f_UB: NDArray[np.float64], set_N: Places, y_N: Places, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a linear classifier of sets of values by ridge regression on one-hot labels.

    Labels enter by their sums over each column's images, and not as a row for each image: the time
    hardly depends on the number of classes.

    Args:
        f_UB: One-hot columns of the sets of values.
        set_N: Set of each image.
        y_N: Class of each image.
        classes: Number of classes K.

    Returns:
        The columns, with mean 0 and variance 1 over the images, and weights ``[B, K]`` of them.
    """
    n, count_U = len(y_N), np.bincount(set_N, minlength=len(f_UB))
    a_UB = f_UB - count_U @ f_UB / n
    a_UB /= np.sqrt(count_U @ a_UB**2 / n).clip(1e-6)
    sum_BK = np.stack([np.bincount(y_N, a_B, classes) for a_B in a_UB[set_N].T])
    gram_BB = (a_UB.T * count_U) @ a_UB + PENALTY * n * np.eye(f_UB.shape[1])
    return a_UB, np.linalg.solve(gram_BB, sum_BK).astype(np.float64)


def _told_apart(
    values: NDArray[Any] | Sequence[NDArray[Any]],
) -> tuple[NDArray[np.float64], Places]:
    """Tell images apart by a clue's values, or by ranges of them.

    Returns:
        One-hot columns ``[U, B]`` of all different sets of values, and the set of each image.
    """
    kinds: Sequence[NDArray[Any]] = [values] if isinstance(values, np.ndarray) else values
    found = [_numbered(value_N) for kind in kinds for value_N in kind.reshape(len(kind), -1).T]
    # A constant value reveals nothing.
    telling = [number_N for number_N in found if number_N.any()]
    set_N, first_U = np.zeros(len(kinds[0]), np.int64), np.zeros(1, np.int64)
    for number_N in telling:
        _, first_U, set_N = np.unique(
            set_N * (number_N.max() + 1) + number_N, return_index=True, return_inverse=True
        )
    columns = [number_N[first_U, None] == np.arange(number_N.max() + 1) for number_N in telling]
    return np.concatenate([np.zeros((len(first_U), 0)), *columns], axis=1), set_N


def _numbered(values_N: NDArray[Any]) -> Places:
    """Number the values, or ranges of them, from 0 on, without a gap."""
    known, number_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    if len(known) > BINS and values_N.dtype.kind in "iuf":
        edges = np.unique(np.quantile(values_N, np.linspace(0, 1, BINS + 1)[1:-1]))
        number_N = np.searchsorted(edges, values_N, side="right")
    elif len(known) > BINS:  # rare words share a number
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        number_N = np.minimum(rank, BINS - 1)[number_N]
    used_N: Places = np.unique(number_N, return_inverse=True)[1]
    return used_N
