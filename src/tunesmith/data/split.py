"""Which image serves for what. Images with equal pixels always stay together."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.data.sources import Given

Indices = NDArray[np.int64]
SMALL = 3000  # under this many images nothing is held out
FOLDS = 5
TEST_SHARE, TEST_MOST = 0.2, 10_000
VALIDATION_SHARE, VALIDATION_MOST = 0.05, 5000
SELECTION_SHARE, SELECTION_MOST = 0.02, 2000
CALIBRATION_SHARE, CALIBRATION_MOST = 0.02, 2000


@final
@dataclass(frozen=True, kw_only=True)
class Split:
    """Disjoint lists of places.

    Attributes:
        train: Trained on.
        validation: The learning curve.
        selection: Decides between finished models.
        calibration: Sets the temperature.
        test: Opened once, at the end.
        folds: Fold of each training image, where out-of-fold predictions serve instead of held-out
            parts; else None.
        leaks: Left out, since a given test image has the same pixels.
    """

    train: Indices
    validation: Indices
    selection: Indices
    calibration: Indices
    test: Indices
    folds: Indices | None
    leaks: Indices


def split(
    labels: Indices, given: NDArray[np.int8], groups: Indices, *, classes: int, seed: int
) -> Split:
    """Split images, stratified by class, groups kept together, equal for equal seeds.

    A test part that the source states is never changed: its twins elsewhere are left out and
    listed. Without one, 20 % are taken, at most 10,000. Of 3,000 images or more, 5 % are then
    held out for validation, 2 % for selection and 2 % for calibration (at most 5,000, 2,000 and
    2,000); of fewer, none, but each gets one of five folds.

    Args:
        labels: Class of each image, ``[N]``.
        given: Part that the source states, ``[N]`` of `Given`.
        groups: Images that must stay together share a number, ``[N]``.
        classes: Number of classes.
        seed: Of the run.
    """
    everything = np.arange(len(labels))
    test = np.flatnonzero(given == Given.TEST)
    leaked = (given != Given.TEST) & np.isin(groups, groups[test])
    rest = everything[(given != Given.TEST) & ~leaked]
    take = _Taker(labels=labels, groups=groups, classes=classes, seed=seed)
    if not len(test):
        rest, test = take(rest, "test", TEST_SHARE, TEST_MOST)
    stated = rest[given[rest] == Given.VALIDATION]
    none = np.zeros(0, np.int64)
    parts = {"test": test, "leaks": np.flatnonzero(leaked)}
    if len(rest) < SMALL:
        folds = _fold(labels[rest], groups[rest], derive(seed, "folds"))
        held = {"validation": none, "selection": none, "calibration": none}
        return Split(train=rest, folds=folds, **held, **parts)
    total = len(rest)
    if len(stated):
        together = np.isin(groups[rest], groups[stated])
        rest, validation = rest[~together], rest[together]
    else:
        rest, validation = take(
            rest, "validation", min(VALIDATION_SHARE, VALIDATION_MOST / total), total
        )
    share = total / len(rest)
    rest, selection = take(rest, "selection", SELECTION_SHARE * share, SELECTION_MOST)
    rest, calibration = take(
        rest, "calibration", CALIBRATION_SHARE * total / len(rest), CALIBRATION_MOST
    )
    held = {"validation": validation, "selection": selection, "calibration": calibration}
    return Split(train=rest, folds=None, **held, **parts)


def _shuffled_groups(groups: Indices, seed: int) -> Indices:
    """Places ordered so that groups come in random order, each as one run."""
    chance = np.random.default_rng(seed)
    _, number = np.unique(groups, return_inverse=True)
    rank = chance.permutation(number.max() + 1)[number]
    return np.lexsort((np.arange(len(groups)), rank))


@final
@dataclass(frozen=True, kw_only=True)
class _Taker:
    """Takes stratified, grouped parts of a list of places."""

    labels: Indices
    groups: Indices
    classes: int
    seed: int

    def __call__(
        self, places: Indices, name: str, share: float, most: int
    ) -> tuple[Indices, Indices]:
        """Split off a part: of each class its share, but never the last group of a class.

        A group belongs to the class of its first image.
        """
        share = min(share, most / max(1, len(places)))
        order = places[_shuffled_groups(self.groups[places], derive(self.seed, name))]
        _, first, number = np.unique(self.groups[order], return_index=True, return_inverse=True)
        owner = self.labels[order][first][number]
        taken = np.zeros(len(order), bool)
        for label in range(self.classes):
            mine = np.flatnonzero(owner == label)
            if not len(mine):
                continue
            begins = np.flatnonzero(np.diff(number[mine], prepend=-1))
            # A part ends where a group begins: the last such place that is not past the share.
            wanted = round(share * len(mine))
            ends = begins[begins <= wanted]
            taken[mine[: ends[-1]]] = True
        return np.sort(order[~taken]), np.sort(order[taken])


def _fold(labels: Indices, groups: Indices, seed: int) -> Indices:
    """Give each image a fold, class by class in turn; a group has one fold."""
    order = _shuffled_groups(groups, seed)
    _, first, number = np.unique(groups[order], return_index=True, return_inverse=True)
    owner = labels[order][first]
    counts = np.bincount(owner, minlength=1)
    folds = max(2, min(FOLDS, int(counts[counts > 0].max())))
    fold_of_group = np.zeros(len(first), np.int64)
    turn = 0
    for label in np.unique(owner):
        mine = np.flatnonzero(owner == label)
        mine = mine[np.argsort(first[mine])]
        fold_of_group[mine] = (turn + np.arange(len(mine))) % folds
        turn += len(mine)
    folded = np.empty(len(labels), np.int64)
    folded[order] = fold_of_group[number]
    return folded
