"""Split a data set into training, test and held-out sets; exact duplicates stay together."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.seeds import derive
from tunesmith.data.clean import joined
from tunesmith.data.folders import listed
from tunesmith.data.source import Given
from tunesmith.data.taker import Indices, Taker, shuffled_groups, ungrouped

SMALL = 3000  # images below which only a test set is held out
FOLDS = 5
TEST_SHARE, TEST_MOST = 0.2, 10_000
VALIDATION_SHARE, VALIDATION_MOST = 0.05, 2000
SELECTION_SHARE, SELECTION_MOST = 0.02, 2000
CALIBRATION_SHARE, CALIBRATION_MOST = 0.02, 2000
TRIED_SHARE, TRIED_MOST = 0.2, 2000


@final
@dataclass(frozen=True, kw_only=True)
class Split:
    """Arrays of image indices, disjoint but for ``tried``; and groups and folds.

    Attributes:
        train: Training set.
        tried: Part of the training set that the trials of a search are not trained on, but
            validated on, besides the validation set: that alone is too small to tell them apart.
        validation: Validation set, for the learning curve.
        selection: Held-out set that decides between finished models.
        calibration: Held-out set to which the softmax temperature is fitted.
        test: Test set, evaluated once at the end.
        folds: Fold of each training image, if out-of-fold predictions replace the held-out sets;
            else None.
        leaks: Images excluded as exact duplicates of predefined test images.
        groups: Group of each image that may be trained on, ``[N]``: its copies, and what belongs to
            it by the source; for the others, it means nothing.
    """

    train: Indices
    tried: Indices
    validation: Indices
    selection: Indices
    calibration: Indices
    test: Indices
    folds: Indices | None
    leaks: Indices
    groups: Indices


def split(
    labels: Indices,
    given: NDArray[np.int8],
    groups: Indices,
    *,
    classes: int,
    seed: int,
    names: Sequence[str] | None = None,
    stated: Indices | None = None,
    column: str = "",
) -> Split:
    """Split images, stratified by class and grouped; deterministic for a given seed.

    A predefined test set is never changed: its exact duplicates elsewhere are excluded and listed.
    Without one, 20 % of the images are held out, at most 10,000. Of 3,000 or more remaining images,
    5 % are then held out for validation, 2 % for selection and 2 % for calibration, at most 2,000
    each; of fewer, none, but each image gets one of five folds. With the validation set, 20 % are
    tried, at most 2,000. A predefined validation set is kept, except that images with exact
    duplicates in the training set move there. If it is smaller than the size above, it is filled
    up, since every decision rests on it. If it is larger by the sizes of the other two sets or
    more, these are split off it, a third each, up to 2,000.

    Groups that the source states are kept together in all sets that are split off here, which are
    larger where a class has few groups. If fewer images were left to train on than without one of
    five folds, or none for a set, there are folds instead, however many the images. Groups are no
    reason to exclude an image: a frame in a predefined test set says nothing against the other
    frames of a video that has the same frame.

    Args:
        labels: Class of each image, ``[N]``.
        given: Split that the source states, ``[N]`` of `Given`; `LEFT_OUT` images are in no split.
        groups: Group of each image, ``[N]``; exact duplicates share a group.
        classes: Number of classes.
        seed: Random seed of the run.
        names: Names of the classes, for messages.
        stated: Group that the source states for each image, ``[N]``; None if it states none. No
            such group is both in a predefined test set and elsewhere.
        column: Name of the table's column that states these groups, for messages.

    Raises:
        SourceError: A class has no training image, or there is no image to hold out.
    """
    test = np.flatnonzero(given == Given.TEST)
    offered = (given != Given.TEST) & (given != Given.LEFT_OUT)
    leaked = offered & np.isin(groups, groups[test])
    leaks, free = np.flatnonzero(leaked), np.flatnonzero(offered & ~leaked)
    together = groups.copy()
    # Only of these: an excluded duplicate must not link the groups that it belongs to.
    together[free] = joined(groups[free], stated, free)
    # If the test set is split off here, none of its groups may be in the other sets.
    train, validation = _offered(given, groups if len(test) else together, free)
    _check_taught(labels[train], labels[leaks], classes=classes, names=names)
    why = "" if stated is None else f"groups{column and f' (column {column})'}"
    take = Taker(labels=labels, groups=together, classes=classes, seed=seed, stated=why)
    if not len(test):
        train, test = take(train, "test", TEST_SHARE * len(train), TEST_MOST)
    none = np.zeros(0, np.int64)
    if len(train) + len(validation) >= SMALL:
        with suppress(SourceError):  # so few groups that a set gets none
            held = _held_out(take, train, validation)
            if len(held["train"]) >= (1 - 1 / FOLDS) * len(train):
                return Split(test=test, folds=None, leaks=leaks, groups=together, **held)
    train = np.sort(np.concatenate([train, validation]))
    folds = _fold(labels[train], together[train], derive(seed, "folds"), why)
    held = {"tried": none, "validation": none, "selection": none, "calibration": none}
    return Split(train=train, test=test, folds=folds, leaks=leaks, groups=together, **held)


def _held_out(take: Taker, train: Indices, validation: Indices) -> dict[str, Indices]:
    """Split the sets beside the test set off, if there are images enough."""
    total, tried = len(train), np.zeros(0, np.int64)
    if missing := missing_images(total, len(validation)):
        train, more = take(train, "validation", missing, VALIDATION_MOST)
        validation = np.sort(np.concatenate([validation, more]))
    train, validation, selection, calibration = _asked(take, train, validation, total)
    wanted = min(TRIED_MOST, TRIED_SHARE * total) - len(validation)
    if wanted >= 1:
        with suppress(SourceError):  # if all that is left is one group, it is trained on
            _, tried = take(train, "tried", wanted, TRIED_MOST)
    return {
        "train": train,
        "tried": tried,
        "validation": validation,
        "selection": selection,
        "calibration": calibration,
    }


def missing_images(learned: int, validation: int) -> int:
    """Number of training images that fill a predefined validation set up.

    Example:
        >>> [missing_images(10_000, given) for given in (0, 450, 700)]
        [500, 50, 0]

    """
    return max(0, round(_validated(learned) - validation))


def asked_sizes(learned: int, validation: int) -> tuple[int, int, bool]:
    """Sizes of the selection and calibration sets, and whether validation images are enough.

    Each is a third of a predefined validation set, as far as that exceeds what the learning curve
    needs, if that is as much as would otherwise be held out of the training set.

    Example:
        >>> [asked_sizes(10_000, given) for given in (899, 900, 2100, 9000)]
        [(200, 200, False), (200, 200, True), (700, 700, True), (2000, 2000, True)]

    """
    selection = min(SELECTION_MOST, round(SELECTION_SHARE * learned))
    calibration = min(CALIBRATION_MOST, round(CALIBRATION_SHARE * learned))
    given = min(int(validation - _validated(learned)) // 2, validation // 3)
    if given < max(selection, calibration):
        return selection, calibration, False
    return min(SELECTION_MOST, given), min(CALIBRATION_MOST, given), True


def _validated(learned: int) -> float:
    """Number of validation images that the learning curve needs."""
    return min(VALIDATION_MOST, VALIDATION_SHARE * learned)


def _asked(
    take: Taker, train: Indices, validation: Indices, total: int
) -> tuple[Indices, Indices, Indices, Indices]:
    """Split selection and calibration set off the validation set, or off the training set."""
    # A group on both sides, as the source may state it, would be no unseen one.
    apart = validation[~np.isin(take.groups[validation], take.groups[train])]
    *sizes, are_given = asked_sizes(total, len(apart))
    if are_given:
        with suppress(SourceError):  # of too few groups
            _, selection, calibration = _both(take, apart, *sizes)
            validation = np.setdiff1d(validation, np.concatenate([selection, calibration]))
            return train, validation, selection, calibration
    *sizes, _ = asked_sizes(total, 0)
    train, selection, calibration = _both(take, train, *sizes)
    return train, validation, selection, calibration


def _both(
    take: Taker, places: Indices, selected: int, calibrated: int
) -> tuple[Indices, Indices, Indices]:
    """Split selection and calibration set off."""
    places, selection = take(places, "selection", selected, SELECTION_MOST)
    places, calibration = take(places, "calibration", calibrated, CALIBRATION_MOST)
    return places, selection, calibration


def _offered(given: NDArray[np.int8], groups: Indices, free: Indices) -> tuple[Indices, Indices]:
    """Indices for training, and of validation images without exact duplicates among them."""
    is_learned = np.isin(groups[free], groups[free][given[free] != Given.VALIDATION])
    return free[is_learned], free[~is_learned]


def _check_taught(
    taught: Indices, leaked: Indices, *, classes: int, names: Sequence[str] | None
) -> None:
    """Refuse data in which a class has no training image left.

    Args:
        taught: Class of each image that may be trained on.
        leaked: Class of each image excluded as an exact duplicate of a test image.
        classes: Number of classes.
        names: Names of the classes.
    """
    gone = np.flatnonzero(np.bincount(taught, minlength=classes) == 0)
    if not len(gone):
        return
    shown = [names[int(k)] if names else f"class {k + 1} of {classes}" for k in gone]
    leaks = np.count_nonzero(np.isin(leaked, gone))
    why = (
        f"{leaks:,} images were left out, since the test part has the same ones. Add other "
        "images, or leave out the test part: one is then put aside."
        if leaks
        else "Those that can be decoded are of another part, or were left out as suspects. Add "
        "training images."
    )
    raise SourceError(
        f"Every class needs images to learn from, but none is left of: {listed(shown)}. {why}"
    )


def _fold(labels: Indices, groups: Indices, seed: int, stated: str) -> Indices:
    """Assign folds in turn, class by class; the images of a group share a fold."""
    order = shuffled_groups(groups, seed)
    _, first, number = np.unique(groups[order], return_index=True, return_inverse=True)
    if len(first) == 1:
        raise SourceError(
            "Images that belong together are kept in one part, but all images to learn from are of "
            "one group, so that none can be held out. Add images of other groups, three groups at "
            f"least{ungrouped(stated)}."
        )
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
