"""Decode images on all cores into one array; what cannot be decoded is listed, never replaced."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import RunFolderError
from tunesmith.core.pixels import Undecodable, decode
from tunesmith.core.seeds import derive
from tunesmith.core.words import megabytes
from tunesmith.data.sources import Source

Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, tuple[int, int]], Pixels]
CHUNK = 256  # images that a thread takes at a time


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
        pixels: uint8 ``[M, H, W, C]``; mapped from disk where memory would not do.
        kept: Place of each in the source, ascending.
        rejected: What could not be decoded.
        resized: Whether any image had another size before.
    """

    pixels: Pixels
    kept: NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    resized: bool


@final
@dataclass(frozen=True, kw_only=True)
class Sample:
    """A few images as they are in their files, to decide by.

    Attributes:
        images: uint8 ``[H, W, C]`` each, shuffled.
        rejected: Those of the sample that could not be decoded.
        per_s: Images decoded a second.
    """

    images: tuple[Pixels, ...]
    rejected: tuple[Rejected, ...]
    per_s: float

    @property
    def shapes(self) -> NDArray[np.int64]:
        """Height, width and channels of each image, ``[S, 3]``."""
        return np.array([image.shape for image in self.images], np.int64).reshape(-1, 3)


def read_image(source: Source, index: int, channels: int | None) -> Pixels | Rejected:
    """Decode one image of a source, or say why not."""
    try:
        content = source.read(index)
        if isinstance(content, bytes):
            return decode(content, channels)
    except (Undecodable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Rejected(index=index, name=source.names[index], reason=reason)
    return content


def sample(source: Source, *, count: int, seed: int, threads: int) -> Sample:
    """Decode up to ``count`` random images, in their own size and color."""
    chance = np.random.default_rng(derive(seed, "sample"))
    chosen = chance.permutation(len(source.names))[:count]
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        read = list(pool.map(lambda i: read_image(source, int(i), None), chosen))
    seconds = time.perf_counter() - began
    return Sample(
        images=tuple(item for item in read if not isinstance(item, Rejected)),
        rejected=tuple(item for item in read if isinstance(item, Rejected)),
        per_s=len(chosen) / max(seconds, 1e-6),
    )


def load(
    source: Source,
    *,
    channels: int,
    size: tuple[int, int],
    resize: Resize,
    threads: int,
    memory_bound: int,
    folder: Path,
) -> Loaded:
    """Decode every image into one array.

    Args:
        source: What to decode.
        channels: 1, 3 or 4: gray, RGB, RGB with alpha.
        size: Height and width that all get; an image of another size goes through ``resize``.
        resize: Maps pixels ``(H, W, C)`` and a size to pixels of that size.
        threads: How many decode at once.
        memory_bound: Bytes; a larger array is mapped from a file.
        folder: Where that file lies.

    Raises:
        RunFolderError: There is no room for that file.
    """
    count = len(source.names)
    pixels = _room((count, *size, channels), memory_bound, folder)
    good = np.zeros(count, bool)

    def fill(begin: int) -> tuple[list[Rejected], bool]:
        bad, resized = [], False
        for index in range(begin, min(count, begin + CHUNK)):
            image = read_image(source, index, channels)
            if isinstance(image, Rejected):
                bad.append(image)
                continue
            if image.shape[:2] != size:
                image, resized = resize(image, size), True
            pixels[index] = image
            good[index] = True
        return bad, resized

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(fill, range(0, count, CHUNK)))
    kept = np.flatnonzero(good)
    return Loaded(
        pixels=pixels if len(kept) == count else pixels[kept],
        kept=kept,
        rejected=tuple(item for bad, _ in results for item in bad),
        resized=any(resized for _, resized in results),
    )


def _room(shape: tuple[int, ...], memory_bound: int, folder: Path) -> Pixels:
    """An empty array in memory, or in a file that vanishes with the process."""
    size = int(np.prod(shape))
    if size <= memory_bound:
        return np.empty(shape, np.uint8)
    path = folder / "pixels.dat"
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        mapped = np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunFolderError(
            f"The decoded images need {megabytes(size)} in {folder}, but: {error.strerror}. Free "
            "some space, or pass --out on another disk."
        ) from None
    path.unlink()
    return mapped


def originals(
    source: Source, indices: NDArray[np.int64], *, channels: int, batch: int = 256
) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
    """Images in their own size, in batches of equal size.

    Yields:
        Places in ``indices``, and pixels ``(B, H, W, C)``. An image that cannot be read any more is
        left out.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, Pixels]]] = {}
    for place, index in enumerate(indices):
        image = read_image(source, int(index), channels)
        if isinstance(image, Rejected):
            continue
        group = waiting.setdefault(image.shape, [])
        group.append((place, image))
        if len(group) == batch:
            yield _stack(waiting.pop(image.shape))
    for group in waiting.values():
        yield _stack(group)


def _stack(group: list[tuple[int, Pixels]]) -> tuple[NDArray[np.int64], Pixels]:
    return np.array([place for place, _ in group], np.int64), np.stack([x for _, x in group])
