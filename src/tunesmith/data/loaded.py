"""Decoded images in one array, in memory or mapped from disk."""

import contextlib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import RunFolderError
from tunesmith.core.words import megabytes
from tunesmith.data.examine import Examined

Pixels = NDArray[np.uint8]
CHUNK = 256  # images moved at a time


@final
@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 pixels ``[H, W, C]``.
        size: Height and width of the whole image; the pixels may be a fraction of it.
        examined: Result of examining its file; None if it was not examined, or there is no file.
    """

    pixels: Pixels
    size: tuple[int, int]
    examined: Examined | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the whole image."""
        return (*self.size, self.pixels.shape[2])


@final
@dataclass(frozen=True, kw_only=True)
class Rejected:
    """An image that cannot be used, and why."""

    index: int
    name: str
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Decoded images.

    Attributes:
        pixels: uint8 images ``[M, H, W, C]``; memory-mapped from disk if too large for memory.
        kept: Source index of each image, ascending.
        rejected: Images that could not be decoded.
        shapes: Original height and width of each image, ``[M, 2]``.
        resized: Whether any image had another size before.
        examined: Examined file of each image; empty if not all of them come from files.
    """

    pixels: Pixels
    kept: NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    shapes: NDArray[np.int64]
    resized: bool
    examined: Sequence[Examined] = ()


@final
class Room:
    """An array for all images of a source, filled by many threads.

    Args:
        shape: Number of images, height, width and channels.
        memory_bound: Size in bytes above which the array is memory-mapped from a file.
        folder: Folder of that file.

    Raises:
        RunFolderError: There is no disk space for that file.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], *, memory_bound: int, folder: Path
    ) -> None:
        self._pixels = _room(shape, memory_bound, folder)
        self._shapes = np.zeros((shape[0], 2), np.int64)  # zero for a missing image
        self._examined: list[Examined | None] = [None] * shape[0]

    def put(
        self,
        index: int,
        image_HWC: Pixels,
        shape: tuple[int, ...],
        examined: Examined | None = None,
    ) -> None:
        """Store an image; ``shape`` starts with its original height and width."""
        self._pixels[index], self._shapes[index] = image_HWC, shape[:2]
        self._examined[index] = examined

    def loaded(self, rejected: Iterable[Rejected]) -> Loaded:
        """Return all stored images, without gaps."""
        kept = np.flatnonzero(self._shapes[:, 0])
        if len(kept) < len(self._pixels):
            _close_ranks(self._pixels, kept)
        shapes = self._shapes[kept]
        files = [self._examined[index] for index in kept.tolist()]
        examined = [each for each in files if each is not None]
        return Loaded(
            pixels=self._pixels[: len(kept)],
            kept=kept,
            rejected=tuple(rejected),
            shapes=shapes,
            resized=bool((shapes != self._pixels.shape[1:3]).any()),
            examined=examined if len(examined) == len(kept) else (),
        )


def _close_ranks(pixels: Pixels, kept: NDArray[np.int64]) -> None:
    """Move the rows ``kept``, ascending, to the front, in place."""
    for begin in range(0, len(kept), CHUNK):
        rows = kept[begin : begin + CHUNK]
        pixels[begin : begin + len(rows)] = pixels[rows]


def _room(shape: tuple[int, ...], memory_bound: int, folder: Path) -> Pixels:
    """Allocate an array in memory, or in a file that disappears with the process."""
    size = math.prod(shape)
    if size <= memory_bound:
        return np.empty(shape, np.uint8)
    path = folder / "pixels.dat"
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # a full disk then shows here, not as a bus error
                os.posix_fallocate(file.fileno(), 0, size)
        mapped = np.memmap(path, np.uint8, "r+" if path.stat().st_size else "w+", shape=shape)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunFolderError(
            f"The decoded images need {megabytes(size)} on the disk of {folder}, but: "
            f"{error.strerror}. Free some space, or pass --out on another disk."
        ) from None
    with contextlib.suppress(OSError):  # Windows keeps a file that is in use
        path.unlink()
    return mapped
