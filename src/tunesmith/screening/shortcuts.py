"""Find shortcuts: clues, such as a file's suffix, that reveal the class without the pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import area_with_interval
from tunesmith.evaluation.ridge import fit_ridge

ONE_SIDED = 0.025  # chance of a false alarm, over all classes and clues
BINS = 12  # distinct values of each number or word, at most
MOST, PER_CLASS = 20_000, 60  # images used; or that many per class, if that is more
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
        f_NB = _told_apart(values)
        if not f_NB.shape[1] or not len(known):
            continue
        ridge = fit_ridge(f_NB[learned], y_N[learned], classes)
        z_NK = f_NB[asked] @ ridge.weight_KD.T + ridge.bias_K
        areas = [area_with_interval(z_NK[:, k], y_N[asked] == k, z=z) for k in known]
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


def _drawn(
    y_N: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training images and of evaluation images, and the classes to evaluate."""
    most = max(MOST, PER_CLASS * classes)
    order_N = np.random.default_rng(0).permutation(len(y_N))[:most]
    learned, asked = np.array_split(order_N, 2)
    counts_K = np.bincount(y_N[asked], minlength=classes)
    return learned, asked, np.flatnonzero((counts_K >= FEWEST) & (counts_K < len(asked)))


def _told_apart(values: NDArray[Any] | Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """One-hot columns ``[N, B]`` of the clue's values, or of ranges of them."""
    kinds: Sequence[NDArray[Any]] = [values] if isinstance(values, np.ndarray) else values
    found = [_columns(value_N) for kind in kinds for value_N in kind.reshape(len(kind), -1).T]
    # A constant value reveals nothing.
    telling = [columns_NB for columns_NB in found if columns_NB.shape[1] > 1]
    return np.concatenate([np.zeros((len(kinds[0]), 0), np.float32), *telling], axis=1)


def _columns(values_N: NDArray[Any]) -> NDArray[np.float32]:
    known, number_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    if len(known) > BINS and values_N.dtype.kind in "iuf":
        edges = np.unique(np.quantile(values_N, np.linspace(0, 1, BINS + 1)[1:-1]))
        number_N = np.searchsorted(edges, values_N, side="right")
    elif len(known) > BINS:  # rare words share a column
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        number_N = np.minimum(rank, BINS - 1)[number_N]
    used = np.unique(number_N)
    columns_NB: NDArray[np.float32] = (number_N[:, None] == used).astype(np.float32)
    return columns_NB
