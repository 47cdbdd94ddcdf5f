"""Labeled images, wherever they come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import final

import numpy as np
from numpy.typing import NDArray


class Given(IntEnum):
    """The part that a source states for an image, or that it is to serve for none."""

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
        name: Names the default run folder; safe as a file name.
        classes: Naturally sorted.
        names: Path of each image inside the source, printable.
        labels: Class of each image, ``[N]``.
        given: Part that the source states for each image, ``[N]`` of `Given`.
        read: Encoded bytes, or pixels ``(H, W, C)``, of an image; safe to call from many threads.
            Raises OSError if it cannot be read.
        skipped: Files that are no images, counted by kind.
        identity: Equal for equal data.
        groups: Number of each image's group, ``[N]``; a group is never split. None: no groups.
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
