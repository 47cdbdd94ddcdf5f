"""Which image serves for what. Images with equal pixels always stay together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.seeds import derive
from tunesmith.data.clean import joined
from tunesmith.data.folders import listed
from tunesmith.data.source import Given

Indices = NDArray[np.int64]
SMALL = 3000  # under this many images nothing is held out
FOLDS = 5
TEST_SHARE, TEST_MOST = 0.2, 10_000
VALIDATION_SHARE, VALIDATION_MOST = 0.05, 2000
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
        leaks: Left out, since a given test image is the same.
    """

    train: Indices
    validation: Indices
    selection: Indices
    calibration: Indices
    test: Indices
    folds: Indices | None
    leaks: Indices


def split(
    labels: Indices,
    given: NDArray[np.int8],
    groups: Indices,
    *,
    classes: int,
    seed: int,
    names: Sequence[str] | None = None,
    stated: Indices | None = None,
) -> Split:
    """Split images, stratified by class, groups kept together, equal for equal seeds.

    A test part that the source states is never changed: its twins elsewhere are left out and
    listed. Without one, 20 % are taken, at most 10,000. Of 3,000 images or more, 5 % are then
    held out for validation, 2 % for selection and 2 % for calibration, at most 2,000 each; of
    fewer, none, but each gets one of five folds. A stated validation part serves as it is, except
    for images that have twins to train on, which are trained on as well; one that is smaller than
    that is filled up, since every decision rests on it.

    What the source states to belong together is kept together in all parts that are cut here. It is
    no reason to leave an image out: one frame in a given test part says nothing against the others
    of a film that has the same frame.

    Args:
        labels: Class of each image, ``[N]``.
        given: Part that the source states, ``[N]`` of `Given`; what is left out is of no part.
        groups: Images that are the same share a number, ``[N]``.
        classes: Number of classes.
        seed: Of the run.
        names: Names of the classes, for messages.
        stated: Images that the source states to belong together share a number, ``[N]``; None, it
            states nothing. None of these groups is in a given test part and elsewhere.

    Raises:
        SourceError: A class has no image to train on, or there is none to hold out.
    """
    test = np.flatnonzero(given == Given.TEST)
    offered = (given != Given.TEST) & (given != Given.LEFT_OUT)
    leaked = offered & np.isin(groups, groups[test])
    leaks, free = np.flatnonzero(leaked), np.flatnonzero(offered & ~leaked)
    together = groups.copy()
    # Of these alone, since a copy that is left out must not link what it was copied into.
    together[free] = joined(groups[free], stated, free)
    # Where the test part is cut here, a group in it must not be validated or trained on either.
    train, validation = _offered(given, groups if len(test) else together, free)
    _check_taught(labels[train], labels[leaks], classes=classes, names=names)
    take = _Taker(labels=labels, groups=together, classes=classes, seed=seed)
    if not len(test):
        train, test = take(train, "test", TEST_SHARE * len(train), TEST_MOST)
    none = np.zeros(0, np.int64)
    if len(train) + len(validation) < SMALL:
        train = np.sort(np.concatenate([train, validation]))
        folds = _fold(labels[train], together[train], derive(seed, "folds"))
        held = {"validation": none, "selection": none, "calibration": none}
        return Split(train=train, test=test, folds=folds, leaks=leaks, **held)
    total = len(train)
    missing = min(VALIDATION_MOST, VALIDATION_SHARE * total) - len(validation)
    if missing >= 1:
        train, more = take(train, "validation", missing, VALIDATION_MOST)
        validation = np.sort(np.concatenate([validation, more]))
    train, selection = take(train, "selection", SELECTION_SHARE * total, SELECTION_MOST)
    train, calibration = take(train, "calibration", CALIBRATION_SHARE * total, CALIBRATION_MOST)
    held = {"validation": validation, "selection": selection, "calibration": calibration}
    return Split(train=train, test=test, folds=None, leaks=leaks, **held)


def _offered(given: NDArray[np.int8], groups: Indices, free: Indices) -> tuple[Indices, Indices]:
    """Places to train on, and of a stated validation part those without twins to train on."""
    is_learned = np.isin(groups[free], groups[free][given[free] != Given.VALIDATION])
    return free[is_learned], free[~is_learned]


def _check_taught(
    taught: Indices, leaked: Indices, *, classes: int, names: Sequence[str] | None
) -> None:
    """Refuse a class that no image is left of to train on.

    Args:
        taught: Class of each image that may be trained on.
        leaked: Class of each that may not, since the test part has the same image.
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


def _shuffled_groups(groups: Indices, seed: int) -> Indices:
    """Places ordered so that groups come in random order, each as one run."""
    rng = np.random.default_rng(seed)
    _, number = np.unique(groups, return_inverse=True)
    rank = rng.permutation(number.max() + 1)[number]
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
        self, places: Indices, name: str, wanted: float, most: int
    ) -> tuple[Indices, Indices]:
        """Split off a part: random whole groups, of each class its share, of none the last image.

        A group counts for the class of its first image.

        Returns:
            What remains, and the part: as many images as wanted, or fewer where groups are large.

        Raises:
            SourceError: There is no group to spare.
        """
        order = places[_shuffled_groups(self.groups[places], derive(self.seed, name))]
        begins = np.flatnonzero(np.diff(self.groups[order], prepend=-1))
        sizes = np.diff(begins, append=len(order))
        owners = self.labels[order][begins]
        room = self._quotas(self.labels[order], owners, min(most, max(1, round(wanted))))
        left = np.bincount(self.labels[order], minlength=self.classes)
        taken = np.zeros(len(order), bool)

        def take(group: int) -> bool:
            span = slice(begins[group], begins[group] + sizes[group])
            lost, count = np.unique(self.labels[order[span]], return_counts=True)
            if (left[lost] <= count).any():
                return False
            left[lost] -= count
            room[owners[group]] -= sizes[group]
            taken[span] = True
            return True

        for group, (owner, size) in enumerate(zip(owners, sizes, strict=True)):
            if size <= room[owner]:
                take(group)
        # Where every group is larger than its class's share, one has to do, the smallest.
        if not taken.any() and not any(map(take, np.argsort(sizes, kind="stable"))):
            raise SourceError(
                "Images that a model is tested on must differ from those it learns from, but no "
                "class has two images that differ. Add images that are no copies."
            )
        return np.sort(order[~taken]), np.sort(order[taken])

    def _quotas(self, labels: Indices, owners: Indices, count: int) -> Indices:
        """Share ``count`` out among classes, by largest remainders; ties go to the random first.

        A class of one or two images gives of them only where no other can.
        """
        sizes_K = np.bincount(labels, minlength=self.classes)
        exact_K = count * sizes_K / max(1, len(labels))
        quotas_K = np.floor(exact_K).astype(np.int64)
        _, first = np.unique(owners, return_index=True)
        rank_K = np.full(self.classes, len(owners))
        rank_K[owners[first]] = first
        is_rare = sizes_K <= 2  # noqa: PLR2004 (one to learn from and one to spare)
        order = np.lexsort((rank_K, -(exact_K - quotas_K).round(9), is_rare))
        quotas_K[order[: count - quotas_K.sum()]] += 1
        return quotas_K


def _fold(labels: Indices, groups: Indices, seed: int) -> Indices:
    """Give each image a fold, class by class in turn; a group has one fold."""
    order = _shuffled_groups(groups, seed)
    _, first, number = np.unique(groups[order], return_index=True, return_inverse=True)
    if len(first) == 1:
        raise SourceError(
            "Images that belong together are kept in one part, but all images to learn from are of "
            "one group, so that none can be held out. Add images of other groups, three groups at "
            "least, or leave the groups out."
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
