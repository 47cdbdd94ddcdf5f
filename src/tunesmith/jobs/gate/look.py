"""Decode each image to a thumbnail and examine its file, for `check`; results are cached."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from posixpath import splitext
from struct import Struct
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import MOST_PIXELS, recolor, squeeze
from tunesmith.data.decode import (
    FINER,
    Sample,
    at_once,
    on_threads,
    read_parts,
    sample,
    sampled,
)
from tunesmith.data.decoder import Decoder, Decoders, is_passing
from tunesmith.data.examine import Examined
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.loaded import Decoded, Rejected, Room
from tunesmith.data.source import Source
from tunesmith.execution.machine import Machine, versions
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.jobs.gate.findings import Data
from tunesmith.records.cache import Cache, key_of
from tunesmith.report.terminal import Terminal

LARGEST = 64  # longest side of thumbnails, in pixels
STEP = 8  # the side is a multiple of this, so that a few images more or less seldom change it
SAMPLED = 300  # images to choose the side by
AT_ONCE = 256  # images per batch, at most; results are cached after each batch
# Of a cached look: height, width, and bytes of JSON before the pixels; height and width are 0 where
# the reason follows why a file cannot be decoded.
HEAD = Struct("<III")
DISTINCT = 1000  # examinations of which the JSON is remembered; most files have one of a few

Pixels = NDArray[np.uint8]
Part = Sequence[tuple[int, bytes | Pixels | Rejected]]


def recipe(what: str, *packages: str) -> str:
    """Return a cache key: what is computed, and the versions of the packages that compute it."""
    return f"{what} {versions(('tunesmith', 'numpy', *packages))}"


@final
@dataclass(frozen=True, kw_only=True)
class _Look:
    """One inspected image.

    Attributes:
        pixels: Thumbnail, ``[H, W, C]``.
        shape: Original height and width.
        examined: Examined file, if there is one.
    """

    pixels: Pixels
    shape: tuple[int, ...]
    examined: Examined | None

    def pack(self) -> bytes:
        """Write it as bytes; see `HEAD`."""
        assert self.examined
        height, width = self.shape[:2]
        examined = _written(self.examined)
        return HEAD.pack(height, width, len(examined)) + examined + self.pixels.tobytes()


def _packed(seen: _Look | str) -> bytes:
    """Write a look, or the reason why a file cannot be decoded, as bytes; see `HEAD`."""
    if not isinstance(seen, str):
        return seen.pack()
    reason = seen.encode()
    return HEAD.pack(0, 0, len(reason)) + reason


def _unpacked(packed: bytes, shape: tuple[int, int, int]) -> _Look | str:
    """Read a cached look, or the reason why the file cannot be decoded."""
    height, width, size = HEAD.unpack_from(packed)
    begin = HEAD.size + size
    if not height:
        return packed[HEAD.size : begin].decode()
    return _Look(
        pixels=np.frombuffer(packed, np.uint8, offset=begin).reshape(shape),
        shape=(height, width),
        examined=_read(packed[HEAD.size : begin]),
    )


@lru_cache(DISTINCT)
def _written(examined: Examined) -> bytes:
    return json.dumps(examined.as_list()).encode()


@lru_cache(DISTINCT)
def _read(written: bytes) -> Examined:
    return Examined.from_list(json.loads(written))


@final
@dataclass(frozen=True, kw_only=True)
class _Looking:
    """How to inspect images.

    Attributes:
        source: The images.
        shape: Height, width and channels of the thumbnails.
        how: Recipe; see `recipe`.
        cache: Cache of earlier results.
    """

    source: Source
    shape: tuple[int, int, int]
    how: str
    cache: Cache

    def at(self, part: Part, decoder: Decoder) -> Iterator[_Look | Rejected]:
        """Inspect a batch of images that were read; new results are cached."""
        names = self.source.names
        files = [(index, content) for index, content in part if isinstance(content, bytes)]
        keys = {
            index: key_of(self.how, splitext(names[index])[1].encode(), content)
            for index, content in files
        }
        known = {} if self.cache.was_empty else self.cache.get(list(keys.values()))
        new = [(content, names[index]) for index, content in files if keys[index] not in known]
        enough = FINER * max(self.shape[:2])
        decoded = decoder.examine(new, self.shape[2], enough=enough)
        fresh: dict[bytes, bytes] = {}
        for index, content in part:
            if isinstance(content, Rejected):
                yield content
            elif not isinstance(content, bytes):
                pixels = recolor(content, self.shape[2])
                yield self._small(pixels, pixels.shape, None)
            else:
                packed = known.get(keys[index])
                seen = _unpacked(packed, self.shape) if packed else self._seen(next(decoded))
                if not packed and not (isinstance(seen, str) and is_passing(seen)):
                    fresh[keys[index]] = _packed(seen)
                if isinstance(seen, str):
                    yield Rejected(index=index, name=names[index], reason=seen)
                else:
                    yield seen
        self.cache.put(fresh)

    def _seen(self, image: Decoded | str) -> _Look | str:
        if isinstance(image, str):
            return image
        return self._small(image.pixels, image.shape, image.examined)

    def _small(self, image_HWC: Pixels, shape: tuple[int, ...], examined: Examined | None) -> _Look:
        is_ready = image_HWC.shape == self.shape
        pixels = image_HWC if is_ready else squeeze(image_HWC, self.shape[:2])
        return _Look(pixels=pixels, shape=shape, examined=examined)


def look(source: Source, folder: Path, cache: Cache, shown: Terminal) -> Data:
    """Inspect all images of a source, except for contents that an earlier check inspected.

    Files that could not be decoded for want of memory or time are tried again each time.

    Args:
        source: The images.
        folder: Folder for the pixels, if they do not fit into memory.
        cache: Cache of earlier results.
        shown: Terminal that shows progress.

    Raises:
        SourceError: No image of the sample can be decoded.
        RunFolderError: There is no disk space for the pixels.
    """
    machine, count = measure_machine(folder), len(source.names)
    shape = _shape(source, machine, cache)
    what = f"look and name metadata, {shape} of {FINER} times as many pixels, at most {MOST_PIXELS}"
    how = recipe(what, "opencv-python-headless")
    looking = _Looking(source=source, shape=shape, how=how, cache=cache)
    bound = machine.memory_bytes // 4
    step = min(AT_ONCE, at_once(count, machine.cores))
    room = Room((count, *shape), memory_bound=bound, folder=folder)

    def look_at(begin: int) -> list[Rejected]:
        bad = []
        indices = range(begin, min(count, begin + step))
        with decoders.one() as decoder:
            parts = read_parts(source, indices)
            looks = itertools.chain.from_iterable(looking.at(part, decoder) for part in parts)
            for index, seen in zip(indices, looks, strict=True):
                if isinstance(seen, Rejected):
                    bad.append(seen)
                else:
                    room.put(index, seen.pixels, seen.shape, seen.examined)
        return bad

    rejected: list[Rejected] = []
    known, begins = cache.found, range(0, count, step)
    with Decoders(machine.cores) as decoders:
        for begin, bad in zip(begins, on_threads(look_at, begins, machine.cores), strict=True):
            rejected += bad
            shown.count(min(count, begin + step), count)
    if cache.found > known:
        shown.say(f"{cache.found - known:,} of {count:,} images were looked at before.")
    return Data(source=source, loaded=room.loaded(rejected))


def _shape(source: Source, machine: Machine, cache: Cache) -> tuple[int, int, int]:
    """Choose height, width and channels of the thumbnails, by a sample."""

    def digest(index: np.int64) -> bytes:
        try:
            content = source.read(int(index))
        except OSError:
            return b""
        return key_of("", content if isinstance(content, bytes) else np.ascontiguousarray(content))

    def decide() -> list[int]:
        some = sample(source, count=SAMPLED, seed=0, threads=machine.cores)
        channels = fingerprint(source, some).channels
        return [*_size(some), channels]

    chosen = sampled(source, count=SAMPLED, seed=0)
    digests = list(on_threads(digest, chosen, machine.cores))
    how = recipe("shape", "opencv-python-headless")
    height, width, channels = cache.once(how, digests, decide)
    return height, width, channels


def _size(some: Sample) -> tuple[int, int]:
    """Choose the size of the thumbnails: that of the images, if all are small and equally large."""
    height, width = some.shapes[:, :2].max(axis=0).tolist()
    if max(height, width) <= LARGEST and (some.shapes[:, :2] == (height, width)).all():
        return height, width
    side = int(np.clip(np.median(some.shapes[:, :2].min(axis=1)) // STEP * STEP, STEP, LARGEST))
    return side, side
