"""Decode images on all cores into one array; undecodable ones are listed, never replaced."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import recolor
from tunesmith.core.seeds import derive
from tunesmith.core.spread import spread
from tunesmith.data.decoder import Decoder, Decoders
from tunesmith.data.loaded import Decoded, Loaded, Rejected, Room
from tunesmith.data.source import Given, Source

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]
Again = Callable[[Pixels], object]
Resize = Callable[[Pixels, tuple[int, int]], Pixels]
T = TypeVar("T")
R = TypeVar("R")
_Seen = tuple[tuple[int, ...], Pixels]  # the shape of an image, and the image reduced
# Images that a thread decodes at a time: few enough that no core waits long for another at the end,
# and enough to keep the overhead for small images low.
LEAST_AT_ONCE, MOST_AT_ONCE, TURNS = 16, 1024, 8
SHOWN = 512  # pixels of the longer side of an image in a `Sample`, at most
# A JPEG is decoded at a fraction of its size if so many times the side that is needed are left; for
# a sample, that is the most that a network looks at.
FINER, LARGEST = 2, 256
# Images on which it is measured how long the test takes to read them, if any is larger than that;
# and how many of them a thread reads at first.
AGAIN, AGAIN_AT_ONCE = 12, 2
REQUEST = 4_000_000  # bytes of files after which they are decoded before more are read


@final
@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample of the images, on which decisions are based.

    Attributes:
        images: Shuffled uint8 images ``[H, W, C]``; of large ones only every second row and column,
            or third, and so on, so that a thousand photographs fit into memory.
        shapes: Original height, width and channels of each image, ``[S, 3]``.
        rejected: Images of the sample that could not be decoded.
        per_s: Images decoded and examined per second on all threads.
        again_per_s: Images decoded whole per second, and treated as the test will; None if that was
            not measured, since all are small.
    """

    images: list[Pixels]
    shapes: NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    per_s: float
    again_per_s: float | None = None


def read_images(
    source: Source, indices: Sequence[int], channels: int | None, decoder: Decoder
) -> Iterator[Pixels | Rejected]:
    """Decode some images of a source, and nothing more; see `decode_images`."""
    for image in decode_images(source, indices, channels, decoder, examined=False):
        yield image if isinstance(image, Rejected) else image.pixels


def decode_images(
    source: Source,
    indices: Sequence[int],
    channels: int | None,
    decoder: Decoder,
    *,
    examined: bool,
    enough: int | None = None,
) -> Iterator[Decoded | Rejected]:
    """Decode some images of a source and, if ``examined``, examine their files.

    JPEGs may be decoded at a fraction of their size; see ``enough`` of `core.pixels.decode`.

    Yields:
        For each index, in order: the image, its pixels valid until the next one is requested, or
        why decoding failed.
    """
    for part in read_parts(source, indices):
        files = [
            (read, source.names[index] if examined else None)
            for index, read in part
            if isinstance(read, bytes)
        ]
        decoded = decoder.examine(files, channels, enough=enough)
        for index, read in part:
            image = next(decoded) if isinstance(read, bytes) else read
            if isinstance(image, str):
                yield Rejected(index=index, name=source.names[index], reason=image)
            elif isinstance(image, np.ndarray):
                size = (image.shape[0], image.shape[1])
                yield Decoded(pixels=recolor(image, channels), size=size, examined=None)
            else:
                yield image


def read_parts(
    source: Source, indices: Sequence[int]
) -> Iterator[list[tuple[int, bytes | Pixels | Rejected]]]:
    """Read images without decoding them, in parts of limited size."""
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


def sampled(source: Source, *, count: int, seed: int) -> Indices:
    """Indices of a random sample of up to ``count`` images, stratified by class.

    Images of a predefined test set are excluded, so that they influence no decision.
    """
    rng = np.random.default_rng(derive(seed, "sample"))
    order = rng.permutation(np.flatnonzero(source.given != Given.TEST))
    # Evenly spaced entries of a list that is sorted by class hold each class in its proportion.
    order = order[np.argsort(source.labels[order], kind="stable")]
    return rng.permutation(spread(order, count))


def sample(
    source: Source,
    *,
    count: int,
    seed: int,
    threads: int,
    seconds: float = math.inf,
    again: Again | None = None,
) -> Sample:
    """Decode a random sample with original channels, large images reduced; see `sampled`.

    Args:
        source: Source of the images.
        count: Maximum number of images.
        seed: Random seed of the sample.
        threads: Number of threads used.
        seconds: Time after which no more images are started; large photographs take long.
        again: What the test does to an image of its own size, to measure how long that takes; None
            not to measure it.
    """
    chosen = sampled(source, count=count, seed=seed)

    def read(part: Indices) -> list[_Seen | Rejected]:
        with decoders.one() as decoder:
            # As in `load`, for which the speed measured here stands.
            images = decode_images(
                source, part.tolist(), None, decoder, examined=True, enough=FINER * LARGEST
            )
            return [image if isinstance(image, Rejected) else _reduced(image) for image in images]

    with Decoders(threads) as decoders:
        # Starts the decoding processes.
        list(on_threads(read, np.array_split(chosen[:threads], threads), threads))
        parts, per_s = _timed(read, chosen, threads, each=LEAST_AT_ONCE, seconds=seconds)
        seen = [each for part in parts for each in part if not isinstance(each, Rejected)]
        again_per_s = None
        if again and any(max(shape[:2]) > LARGEST for shape, _ in seen):
            work = partial(_read_again, source, decoders, again)
            few = chosen[: max(AGAIN, AGAIN_AT_ONCE * threads)]
            _, again_per_s = _timed(work, few, threads, each=AGAIN_AT_ONCE, seconds=seconds)
    return Sample(
        images=[image for _, image in seen],
        shapes=np.array([shape for shape, _ in seen], np.int64).reshape(-1, 3),
        rejected=tuple(item for part in parts for item in part if isinstance(item, Rejected)),
        per_s=per_s,
        again_per_s=again_per_s,
    )


def _read_again(source: Source, decoders: Decoders, again: Again, part: Indices) -> None:
    """Decode images whole, as `originals` does, and treat them as the test will."""
    with decoders.one() as decoder:
        for image in read_images(source, part.tolist(), None, decoder):
            if not isinstance(image, Rejected):
                again(image)


def _timed(
    read: Callable[[Indices], R], chosen: Indices, threads: int, *, each: int, seconds: float
) -> tuple[list[R], float]:
    """Read images until the time is up, ``each`` per thread at first; return images per second."""
    found: list[R] = []
    began, done, took = time.perf_counter(), 0, 0.0
    while done < len(chosen) and (took < seconds or not done):
        # Doubles the number: each thread has several turns, and none waits long at the end.
        some = chosen[done : done + max(done, each * threads)]
        found += on_threads(read, np.array_split(some, 4 * threads), threads)
        done, took = done + len(some), time.perf_counter() - began
    return found, done / max(took, 1e-6)


def _reduced(image: Decoded) -> _Seen:
    """Return the shape, and a subsampled copy that takes little memory."""
    step = -(-max(image.pixels.shape[:2]) // SHOWN)
    return image.shape, image.pixels[::step, ::step].copy()


def at_once(count: int, threads: int) -> int:
    """Number of images, out of ``count``, that a thread should decode at a time."""
    return min(MOST_AT_ONCE, max(LEAST_AT_ONCE, count // (TURNS * threads)))


def on_threads(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    *,
    over: threading.Event | None = None,
) -> Iterator[R]:
    """Process items on many threads; an interrupt waits for running items, not for the rest.

    Args:
        work: Function to call for each item.
        items: Items to process, in order.
        threads: Number of threads used.
        over: Event to set when results are no longer needed, so that work may end early.

    Yields:
        Result for each item, in order.
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
    """Decode every image into one array, and examine the files.

    Args:
        source: Source of the images.
        channels: 1 for gray, 3 for RGB, 4 for RGBA.
        size: Common height and width; images of another size go through ``resize``.
        resize: Maps pixels ``(H, W, C)`` and a size to pixels of that size.
        threads: Number of threads used.
        memory_bound: Size in bytes above which the array is memory-mapped from a file.
        folder: Folder of that file.

    Raises:
        RunFolderError: There is no disk space for that file.
    """
    count = len(source.names)
    room = Room((count, *size, channels), memory_bound=memory_bound, folder=folder)
    step, over = at_once(count, threads), threading.Event()

    def fill(begin: int) -> list[Rejected]:
        bad = []
        indices = range(begin, min(count, begin + step))
        with decoders.one() as decoder:
            images = decode_images(
                source, indices, channels, decoder, examined=True, enough=FINER * max(size)
            )
            for index, image in zip(indices, images, strict=True):
                if over.is_set():
                    break
                if isinstance(image, Rejected):
                    bad.append(image)
                    continue
                pixels = image.pixels
                fitted = pixels if pixels.shape[:2] == size else resize(pixels, size)
                room.put(index, fitted, image.shape, image.examined)
        return bad

    with Decoders(threads) as decoders:
        bad = list(on_threads(fill, range(0, count, step), threads, over=over))
    return room.loaded(itertools.chain.from_iterable(bad))
