"""Decode images on all cores into one array; what cannot be decoded is listed, never replaced."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import recolor
from tunesmith.core.seeds import derive
from tunesmith.core.spread import spread
from tunesmith.data.decoder import Decoder, Decoders
from tunesmith.data.loaded import Loaded, Rejected, Room
from tunesmith.data.source import Given, Source

Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, tuple[int, int]], Pixels]
T = TypeVar("T")
R = TypeVar("R")
_Seen = tuple[tuple[int, ...], Pixels]  # the shape of an image, and the image reduced
# Images that a thread decodes at a time: few enough that no core waits long for another at the end,
# and enough that it is not woken for each handful of small ones.
LEAST_AT_ONCE, MOST_AT_ONCE, TURNS = 16, 1024, 8
SHOWN = 512  # pixels of the longer side of what decisions are based on, at most
# Bytes of decoded images of one size that are handed on together, and of all sizes that wait.
TOGETHER, WAITING = 64_000_000, 256_000_000
ORIGINALS = 8  # images of any size that a thread decodes before they are handed on
REQUEST = 4_000_000  # bytes of files from which on they are decoded before further ones are read


_Waiting = dict[tuple[int, ...], list[tuple[int, Pixels]]]  # indices and images, by their size


@final
@dataclass(frozen=True, kw_only=True)
class Sample:
    """A few images as they are in their files, to decide by.

    Attributes:
        images: uint8 ``[H, W, C]`` each, shuffled; of large ones every second row and column, or
            third, and so on, so that a thousand photographs fit into the memory.
        shapes: Height, width and channels of each, ``[S, 3]``.
        rejected: Those of the sample that could not be decoded.
        per_s: Images decoded a second, on all threads.
    """

    images: list[Pixels]
    shapes: NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    per_s: float


def read_images(
    source: Source, indices: Sequence[int], channels: int | None, decoder: Decoder
) -> Iterator[Pixels | Rejected]:
    """Decode some images of a source, or say why not.

    Yields:
        For each, in their order, its pixels, which are there until the next one is asked for, or
        why there are none.
    """
    for part in read_parts(source, indices):
        decoded = decoder.decode([read for _, read in part if isinstance(read, bytes)], channels)
        for index, read in part:
            image = next(decoded) if isinstance(read, bytes) else read
            if isinstance(image, str):
                yield Rejected(index=index, name=source.names[index], reason=image)
            else:
                yield recolor(image, channels) if isinstance(image, np.ndarray) else image


def read_parts(
    source: Source, indices: Sequence[int]
) -> Iterator[list[tuple[int, bytes | Pixels | Rejected]]]:
    """Read images without decoding them, in parts that are not too much for the memory."""
    part: list[tuple[int, bytes | Pixels | Rejected]] = []
    size = 0
    for index in indices:
        try:
            read: bytes | Pixels | Rejected = source.read(index)
        except OSError as error:
            reason = error.strerror or str(error)
            read = Rejected(index=index, name=source.names[index], reason=reason)
        part.append((index, read))
        size += len(read) if isinstance(read, bytes) else 0
        if size > REQUEST:
            yield part
            part, size = [], 0
    yield part


def sampled(source: Source, *, count: int, seed: int) -> NDArray[np.int64]:
    """Places of up to ``count`` random images, of each class in its proportion.

    Images that the source states to be of the test part are not looked at, so that nothing is
    decided by them.
    """
    rng = np.random.default_rng(derive(seed, "sample"))
    order = rng.permutation(np.flatnonzero(source.given != Given.TEST))
    # Evenly spaced places in a list that is sorted by class hold each class in its proportion.
    order = order[np.argsort(source.labels[order], kind="stable")]
    return rng.permutation(spread(order, count))


def sample(
    source: Source, *, count: int, seed: int, threads: int, seconds: float = math.inf
) -> Sample:
    """Decode random images, in their own color, large ones reduced; see `sampled`.

    Args:
        source: What to decode.
        count: How many images at most.
        seed: Decides which.
        threads: How many decode at once.
        seconds: After which no more are begun; large photographs take long.
    """
    chosen = sampled(source, count=count, seed=seed)

    def read(part: NDArray[np.int64]) -> list[_Seen | Rejected]:
        with decoders.one() as decoder:
            return [
                image if isinstance(image, Rejected) else (image.shape, _reduced(image))
                for image in read_images(source, part.tolist(), None, decoder)
            ]

    with Decoders(threads) as decoders:
        # Starts the processes.
        list(on_threads(read, np.array_split(chosen[:threads], threads), threads))
        parts: list[list[_Seen | Rejected]] = []
        began, done, took = time.perf_counter(), 0, 0.0
        while done < len(chosen) and (took < seconds or not done):
            # As many again: each of the threads has several turns, and none waits long at the end.
            some = chosen[done : done + max(done, LEAST_AT_ONCE * threads)]
            parts += on_threads(read, np.array_split(some, 4 * threads), threads)
            done, took = done + len(some), time.perf_counter() - began
    seen = [each for part in parts for each in part if not isinstance(each, Rejected)]
    return Sample(
        images=[image for _, image in seen],
        shapes=np.array([shape for shape, _ in seen], np.int64).reshape(-1, 3),
        rejected=tuple(item for part in parts for item in part if isinstance(item, Rejected)),
        per_s=done / max(took, 1e-6),
    )


def _reduced(image: Pixels) -> Pixels:
    """A copy that takes little memory."""
    step = -(-max(image.shape[:2]) // SHOWN)
    return image[::step, ::step].copy()


def at_once(count: int, threads: int) -> int:
    """How many of so many images a thread should decode at a time."""
    return min(MOST_AT_ONCE, max(LEAST_AT_ONCE, count // (TURNS * threads)))


def on_threads(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    *,
    over: threading.Event | None = None,
) -> Iterator[R]:
    """Do work on many threads; an interrupt waits for what is being done, not for the rest.

    Args:
        work: What to do with each item.
        items: In their order.
        threads: How many do it at once.
        over: Set when nobody waits for results any more, so that work may end early.

    Yields:
        What comes of each item, in their order.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(work, items)
    finally:
        if over is not None:
            over.set()
        pool.shutdown(cancel_futures=True)


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
    room = Room((count, *size, channels), memory_bound=memory_bound, folder=folder)
    step, over = at_once(count, threads), threading.Event()

    def fill(begin: int) -> list[Rejected]:
        bad = []
        indices = range(begin, min(count, begin + step))
        with decoders.one() as decoder:
            images = read_images(source, indices, channels, decoder)
            for index, image in zip(indices, images, strict=True):
                if over.is_set():
                    break
                if isinstance(image, Rejected):
                    bad.append(image)
                    continue
                is_ready = image.shape[:2] == size
                room.put(index, image if is_ready else resize(image, size), image.shape)
        return bad

    with Decoders(threads) as decoders:
        bad = list(on_threads(fill, range(0, count, step), threads, over=over))
    return room.loaded(itertools.chain.from_iterable(bad))


def originals(
    source: Source, indices: NDArray[np.int64], *, channels: int, threads: int, batch: int = 256
) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
    """Decode images in their own size, in batches of equal size.

    Yields:
        Indices into the source ``[B]``, and pixels ``[B, H, W, C]``; B is at most ``batch``, and
        less where images are large. An image that cannot be read any more is left out.
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
    """Size of the images that should wait no longer, if any, after one of size ``last`` came."""
    if len(waiting[last]) >= batch or len(waiting[last]) * math.prod(last) >= TOGETHER:
        return last
    held = {shape: len(group) * math.prod(shape) for shape, group in waiting.items()}
    return max(held, key=lambda shape: held[shape]) if sum(held.values()) >= WAITING else None


def _stack(group: list[tuple[int, Pixels]]) -> tuple[NDArray[np.int64], Pixels]:
    return np.array([index for index, _ in group], np.int64), np.stack([x for _, x in group])
