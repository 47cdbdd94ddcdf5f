"""Labeled images from any source, and checks of their classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.words import tally
from tunesmith.data.folders import listed

LEAST = 2  # images of a class: one to learn from and one to be tested on


class Given(IntEnum):
    """Split that a source states for an image; LEFT_OUT excludes it from all splits."""

    NONE = 0
    TRAIN = 1
    VALIDATION = 2
    TEST = 3
    LEFT_OUT = 4


PARTS = {
    "": Given.NONE,
    "train": Given.TRAIN,
    "validation": Given.VALIDATION,
    "test": Given.TEST,
}


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Labeled images, none of them decoded yet.

    Attributes:
        name: Name of the default run folder; safe as a file name.
        classes: Names of the classes, in natural order.
        names: Path of each image inside the source, printable.
        labels: Class of each image, ``[N]``.
        given: Split that the source states for each image, ``[N]`` of `Given`.
        read: Thread-safe function that returns the encoded bytes, or pixels ``(H, W, C)``, of an
            image by its index. Raises OSError if it cannot be read.
        skipped: Number of files that are not images, by kind.
        identity: Text that is equal for equal data.
        groups: Group of each image, ``[N]``; a group is never split. None if there are no groups.
        group_names: Name of each group by its number; empty for an image without a group.
        columns: Names of a table's columns by role; empty for other sources.
    """

    name: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    given: NDArray[np.int8]
    read: Callable[[int], bytes | NDArray[np.uint8]]
    skipped: Mapping[str, int]
    identity: str
    groups: NDArray[np.int64] | None = None
    group_names: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    def subset(self, kept: NDArray[np.int64]) -> Self:
        """Return the images with these indices, in their order; the rest stays as it is."""
        return replace(
            self,
            names=tuple(self.names[index] for index in kept),
            labels=self.labels[kept],
            given=self.given[kept],
            read=lambda index: self.read(int(kept[index])),
            groups=None if self.groups is None else self.groups[kept],
        )


def untaught(labels: Sequence[str]) -> str:
    """Error message for classes that occur only in the test set."""
    return (
        f"Every class needs images to learn from, but the test part alone has: {listed(labels)}. "
        "Add training images of it, or take it out of the test part."
    )


def _way_out(source: Source) -> str:
    """Advice if there is only one class: perhaps its folder holds the class folders."""
    inner = sorted({name.split("/")[1] for name in source.names if name.count("/") > 1})
    if len(inner) > 1:
        return f"If the classes are the folders inside it ({listed(inner)}), pass that folder."
    return "Add images of another class: in a folder of their own, or with a label of their own."


def check_classes(source: Source) -> None:
    """Refuse data that no classifier can learn from.

    Raises:
        SourceError: There are fewer than two classes, or a class has fewer than two training
            images.
    """
    if len(source.classes) < 2:  # noqa: PLR2004 (a classifier chooses between two)
        left = f" (left aside: {tally(source.skipped)})" if source.skipped else ""
        raise SourceError(
            f"Telling classes apart needs at least two, but {source.name} has only "
            f"{listed(source.classes)}{left}. {_way_out(source)}"
        )

    def without(counts_K: NDArray[np.int64], count: int) -> list[str]:
        return [source.classes[k] for k in np.flatnonzero(counts_K == count)]

    size = len(source.classes)
    is_learned = np.isin(source.given, (Given.NONE, Given.TRAIN))
    if empty := without(np.bincount(source.labels, minlength=size), 0):
        raise SourceError(
            f"Every class needs images, but there is none of: {listed(empty)}. Add images, or "
            "leave the class out."
        )
    if alone := without(np.bincount(source.labels[source.given != Given.TEST], minlength=size), 0):
        raise SourceError(untaught(alone))
    learned_K = np.bincount(source.labels[is_learned], minlength=size)
    if few := [*without(learned_K, 0), *without(learned_K, 1)]:
        raise SourceError(
            f"Every class needs at least two images to learn from (and about twenty to be learned "
            f"well), but these have fewer: {listed(few)}. Add images, or remove the class."
        )
