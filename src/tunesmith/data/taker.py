"""Split random subsets off, stratified by class, of whole groups."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.seeds import derive
from tunesmith.data.tables import UNGROUPED

Indices = NDArray[np.int64]
AT_ONCE = 1000  # groups of which those that do not fit are passed over at once


def shuffled_groups(groups: Indices, seed: int) -> Indices:
    """Indices ordered so that groups come in random order, each contiguously."""
    rng = np.random.default_rng(seed)
    _, number = np.unique(groups, return_inverse=True)
    rank = rng.permutation(number.max() + 1)[number]
    return np.lexsort((np.arange(len(groups)), rank))


def ungrouped(stated: str) -> str:
    """Way out of groups that the source states: to have none."""
    return f", or leave the {stated} out by {UNGROUPED}" if stated else ""


@final
@dataclass(frozen=True, kw_only=True)
class Taker:
    """Splits stratified, grouped subsets off an array of indices.

    Attributes:
        labels: Class of each image.
        groups: Group of each image.
        classes: Number of classes.
        seed: Random seed of the run.
        stated: What the source calls its groups, for messages; empty if it states none.
    """

    labels: Indices
    groups: Indices
    classes: int
    seed: int
    stated: str

    def __call__(
        self, places: Indices, name: str, wanted: float, most: int
    ) -> tuple[Indices, Indices]:
        """Split off random whole groups, stratified, but never the last image of a class.

        Groups that fit come first, then others that bring the subset nearer to what is wanted of
        each class. If a class is to be in the subset, but none of its groups is, its smallest is
        taken, however large: what says nothing about a class is worse than what is too large.

        Returns:
            The remaining images, and the subset: as many images as wanted, or fewer or more if
            groups are large.

        Raises:
            SourceError: No group can be split off.
        """
        order = places[shuffled_groups(self.groups[places], derive(self.seed, name))]
        labels = self.labels[order]
        quotas = self._quotas(labels, min(most, max(1, round(wanted))))
        taking = _Taking.of(labels, self.groups[order], quotas)
        taking.fill(fitting=True)
        taking.fill(fitting=False)
        taking.complete()
        if not taking.taken.any():
            also = f", and images of one of the {self.stated}," if self.stated else ""
            raise SourceError(
                "Images that a model is tested on must differ from those it learns from: copies"
                f"{also} stay together. But wherever some do, all images of a class are among "
                f"them, and none can be put aside. Add images that are no copies"
                f"{ungrouped(self.stated)}."
            )
        taken = np.repeat(taking.taken, taking.sizes)
        return np.sort(order[~taken]), np.sort(order[taken])

    def _quotas(self, labels: Indices, count: int) -> Indices:
        """Distribute ``count`` among classes by largest remainders, with ties broken at random.

        A class of one or two images contributes only if no other class can.

        Args:
            labels: Classes in random order.
            count: Number of images.
        """
        sizes_K = np.bincount(labels, minlength=self.classes)
        exact_K = count * sizes_K / max(1, len(labels))
        quotas_K = np.floor(exact_K).astype(np.int64)
        found, first = np.unique(labels, return_index=True)
        rank_K = np.full(self.classes, len(labels))
        rank_K[found] = first
        is_rare = sizes_K <= 2  # noqa: PLR2004 (one to learn from and one to spare)
        order = np.lexsort((rank_K, -(exact_K - quotas_K).round(9), is_rare))
        quotas_K[order[: count - quotas_K.sum()]] += 1
        return quotas_K


@final
@dataclass(kw_only=True)
class _Taking:
    """Groups, and which of them are taken so far.

    Attributes:
        sizes: Number of images of each group.
        begins: Where each group begins in ``owners`` and ``counts``, and where the last one ends.
        owners: Classes of each group, group by group.
        counts: Number of a group's images of that class.
        left: Number of images of each class that are not taken.
        room: Number of images of each class that are wanted still; negative if too many are taken.
        lacks: Whether each class is wanted, but none of its images is taken.
        taken: Whether each group is taken.
    """

    sizes: Indices
    begins: Indices
    owners: Indices
    counts: Indices
    left: Indices
    room: Indices
    lacks: NDArray[np.bool_]
    taken: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Indices, groups: Indices, quotas: Indices) -> Self:
        """Begin with images group by group, of which nothing is taken."""
        number = np.cumsum(np.diff(groups, prepend=groups[:1]) != 0)
        keys, counts = np.unique(number * len(quotas) + labels, return_counts=True)
        sizes = np.bincount(number)
        return cls(
            sizes=sizes,
            begins=np.searchsorted(keys, np.arange(len(sizes) + 1) * len(quotas)),
            owners=keys % len(quotas),
            counts=counts,
            left=np.bincount(labels, minlength=len(quotas)),
            room=quotas,
            lacks=quotas > 0,
            taken=np.zeros(len(sizes), bool),
        )

    def fill(self, *, fitting: bool) -> None:
        """Take groups in turn that fit, or that bring what is taken nearer to what is wanted."""
        least = self.sizes if fitting else np.ones_like(self.sizes)
        for begin in range(0, len(self.sizes), AT_ONCE):
            end = min(begin + AT_ONCE, len(self.sizes))
            found = (self._gains(begin, end) >= least[begin:end]) & ~self.taken[begin:end]
            for group in (begin + np.flatnonzero(found)).tolist():
                if self._gains(group, group + 1) >= least[group]:  # with what was taken meanwhile
                    self._take(group)

    def complete(self) -> None:
        """Take the smallest groups of classes that lack; if nothing is taken, any group."""
        by_size = np.argsort(self.sizes, kind="stable")
        wanted = np.logical_or.reduceat(self.lacks[self.owners], self.begins[:-1])
        for group in by_size[wanted[by_size]]:
            if self.lacks[self.owners[self._span(group, group + 1)]].any():
                self._take(group)
        if not self.taken.any():
            any(map(self._take, by_size))

    def _span(self, begin: int, end: int) -> slice:
        """Where some groups are in ``owners`` and ``counts``."""
        return slice(self.begins[begin], self.begins[end])

    def _gains(self, begin: int, end: int) -> Indices:
        """By how many images each group would bring what is taken nearer: by all that fit."""
        span = self._span(begin, end)
        room = self.room[self.owners[span]]
        gains = np.abs(room) - np.abs(room - self.counts[span])
        summed: Indices = np.add.reduceat(gains, self.begins[begin:end] - self.begins[begin])
        return summed

    def _take(self, group: int) -> bool:
        """Take a group, unless a class would be left without images; return whether it is taken."""
        span = self._span(group, group + 1)
        owners, counts = self.owners[span], self.counts[span]
        if (self.left[owners] <= counts).any():
            return False
        self.left[owners] -= counts
        self.room[owners] -= counts
        self.lacks[owners] = False
        self.taken[group] = True
        return True
