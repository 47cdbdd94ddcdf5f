"""Decode images again at their own size, in batches of equal size."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.decode import on_threads, read_images
from tunesmith.data.decoder import Decoders
from tunesmith.data.loaded import Rejected
from tunesmith.data.source import Source

Pixels = NDArray[np.uint8]
# Bytes of decoded images of one size that are yielded together, and of all sizes that wait.
TOGETHER, WAITING = 64_000_000, 256_000_000
ORIGINALS = 8  # images of any size that a thread decodes before they are passed on
_Waiting = dict[tuple[int, ...], list[tuple[int, Pixels]]]  # indices and images, by their size


def originals(
    source: Source, indices: NDArray[np.int64], *, channels: int, threads: int, batch: int = 256
) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
    """Decode images at their original size, in batches of equal size.

    Yields:
        Source indices ``[B]``, and pixels ``[B, H, W, C]``; B is at most ``batch``, and less for
        large images. Images that can no longer be read are left out.
    """
    waiting: _Waiting = {}

    def read(part: NDArray[np.int64]) -> list[tuple[int, Pixels]]:
        with decoders.one() as decoder:
            images = read_images(source, part.tolist(), channels, decoder)
            return [
                (int(index), image.copy())
                for index, image in zip(part, images, strict=True)
                if not isinstance(image, Rejected)
            ]

    with Decoders(threads) as decoders:
        for begin in range(0, len(indices), ORIGINALS * threads):
            parts = np.array_split(indices[begin : begin + ORIGINALS * threads], threads)
            for index, image in itertools.chain.from_iterable(on_threads(read, parts, threads)):
                waiting.setdefault(image.shape, []).append((index, image))
                shape = _ripe(waiting, image.shape, batch)
                if shape is not None:
                    yield _stack(waiting.pop(shape))
    for group in waiting.values():
        yield _stack(group)


def _ripe(waiting: _Waiting, last: tuple[int, ...], batch: int) -> tuple[int, ...] | None:
    """Size of the waiting images to yield now, if any, after one of size ``last`` was added."""
    if len(waiting[last]) >= batch or len(waiting[last]) * math.prod(last) >= TOGETHER:
        return last
    held = {shape: len(group) * math.prod(shape) for shape, group in waiting.items()}
    return max(held, key=lambda shape: held[shape]) if sum(held.values()) >= WAITING else None


def _stack(group: list[tuple[int, Pixels]]) -> tuple[NDArray[np.int64], Pixels]:
    return np.array([index for index, _ in group], np.int64), np.stack([x for _, x in group])
