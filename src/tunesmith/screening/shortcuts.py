"""Clues that give the class away without a look at what the image shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import area_with_interval
from tunesmith.evaluation.ridge import fit_ridge

ONE_SIDED = 0.025  # chance of a false alarm, over all classes and clues
BINS = 12  # values that are told apart of each number or word
MOST, PER_CLASS = 20_000, 60  # images that are looked at, or so many for each class if that is more
FEWEST = 20  # images of a class that are asked about
# Lower end of an area's interval that is always enough: of few images none gets near to 1, and the
# plainest clue would be the one that is never told.
SURE = 0.9


@final
@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A clue, and the class that it gives away most.

    Attributes:
        clue: What was looked at.
        label: That class.
        auc: Area under the ROC curve of a classifier that tells the class from all others and sees
            nothing but the clue, on images it had not seen: 0.5 is chance.
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
    """Find the clues that tell a class apart better than they should.

    Args:
        clues: Name -> a value, or several, for each image: numbers or words, ``[N]`` or ``[N, V]``.
            Numbers and words that are one clue are given one after the other.
        y_N: Classes.
        classes: Their number K.
        allowed: Name -> the area that a clue may reach before it is reported. The lower end of the
            area's interval must be over it too, or over `SURE`, at a level at which one false alarm
            is to be expected in forty data sets, however many their classes.

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
    """Whether `find_shortcuts` can look at any class: some have images enough.

    Example:
        >>> can_ask(np.arange(90) % 2, 2), can_ask(np.arange(30) % 2, 2)
        (True, False)

    """
    return len(_drawn(y_N, classes)[2]) > 0


def _drawn(
    y_N: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Places of images to learn from and to ask about, and the classes that are asked about."""
    most = max(MOST, PER_CLASS * classes)
    order_N = np.random.default_rng(0).permutation(len(y_N))[:most]
    learned, asked = np.array_split(order_N, 2)
    counts_K = np.bincount(y_N[asked], minlength=classes)
    return learned, asked, np.flatnonzero((counts_K >= FEWEST) & (counts_K < len(asked)))


def _told_apart(values: NDArray[Any] | Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """A column of zeros and ones for each value, or range of values, that is told apart."""
    kinds: Sequence[NDArray[Any]] = [values] if isinstance(values, np.ndarray) else values
    found = [_columns(value_N) for kind in kinds for value_N in kind.reshape(len(kind), -1).T]
    # One value for all tells nothing.
    telling = [columns_NB for columns_NB in found if columns_NB.shape[1] > 1]
    return np.concatenate([found[0][:, :0], *telling], axis=1)


def _columns(values_N: NDArray[Any]) -> NDArray[np.float32]:
    known, number_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    if len(known) > BINS and values_N.dtype.kind in "iuf":
        edges = np.unique(np.quantile(values_N, np.linspace(0, 1, BINS + 1)[1:-1]))
        number_N = np.searchsorted(edges, values_N, side="right")
    elif len(known) > BINS:  # rare words are one
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        number_N = np.minimum(rank, BINS - 1)[number_N]
    used = np.unique(number_N)
    columns_NB: NDArray[np.float32] = (number_N[:, None] == used).astype(np.float32)
    return columns_NB
