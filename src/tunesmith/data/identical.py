"""Tell images that are equal to the pixel from those that are only equal when made small.

Images are loaded at one size, at which a scratch or a tiny defect may be lost. So the few that are
equal as loaded are read once more: equal files are equal images, and others are decoded in full.
"""

import hashlib
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import recolor
from tunesmith.data.decode import at_once, on_threads, read_images
from tunesmith.data.decoder import Decoders
from tunesmith.data.loaded import Loaded, Rejected
from tunesmith.data.source import Source

Places = NDArray[np.int64]


def identical(
    source: Source, loaded: Loaded, seen_N: Places, *, threads: int, most: int | None = None
) -> Places:
    """Split groups of images that are equal as loaded into groups that are equal to the pixel.

    Args:
        source: Source of the images.
        loaded: The images as loaded.
        seen_N: Number of the group of each image.
        threads: Number of threads used.
        most: Images to read again, at most; None for all. If there are more, none is.

    Returns:
        Group of each image ``[N]``, numbered from 0. An image that was not read again, or can no
        longer be read, is in a group of its own.
    """
    if not loaded.resized:
        return seen_N
    _, kind_N = np.unique(
        np.column_stack([seen_N, loaded.shapes]), axis=0, return_inverse=True
    )  # images of different sizes are never equal
    is_whole_N = (loaded.shapes == loaded.pixels.shape[1:3]).all(axis=1)
    doubtful = np.flatnonzero((np.bincount(kind_N)[kind_N] > 1) & ~is_whole_N)
    if most is not None and len(doubtful) > most:
        digests = {place: _unread(place) for place in doubtful.tolist()}
    else:
        digests = _digests(source, loaded, kind_N, doubtful, threads)
    numbers: dict[tuple[int, bytes], int] = {}
    keys = ((kind, digests.get(place, b"")) for place, kind in enumerate(kind_N.tolist()))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _digests(
    source: Source, loaded: Loaded, kind_N: Places, doubtful: Places, threads: int
) -> dict[int, bytes]:
    """Map places to hashes that are equal only for equal images of one kind.

    Images are decoded only if their kind is of several files that differ, and each file once.
    """
    channels = loaded.pixels.shape[3]

    def file_digest(place: int) -> bytes:
        try:
            read = source.read(int(loaded.kept[place]))
        except OSError:
            return _unread(place)
        return _digest(read if isinstance(read, bytes) else recolor(read, channels))

    def pixel_digests(part: Places) -> list[bytes]:
        with decoders.one() as decoder:
            images = read_images(source, loaded.kept[part].tolist(), channels, decoder)
            return [
                _unread(place) if isinstance(image, Rejected) else _digest(image)
                for place, image in zip(part.tolist(), images, strict=True)
            ]

    places = doubtful.tolist()
    by_file: dict[int, bytes] = dict(
        zip(places, on_threads(file_digest, places, threads), strict=True)
    )
    firsts: dict[int, dict[bytes, int]] = defaultdict(dict)
    for place, digest in by_file.items():
        firsts[int(kind_N[place])].setdefault(digest, place)
    several = [place for files in firsts.values() if len(files) > 1 for place in files.values()]
    step = at_once(len(several), threads)
    parts = [np.array(several[at : at + step]) for at in range(0, len(several), step)]
    with Decoders(threads) as decoders:
        found = [each for part in on_threads(pixel_digests, parts, threads) for each in part]
    by_pixels: dict[int, bytes] = dict(zip(several, found, strict=True))
    first_of = {place: firsts[int(kind_N[place])][digest] for place, digest in by_file.items()}
    return {place: by_pixels.get(first_of[place], by_file[place]) for place in places}


def _digest(content: bytes | NDArray[np.uint8]) -> bytes:
    """Hash a file or an image by BLAKE2b (RFC 7693); see `twins` for the chance of a collision."""
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return hashlib.blake2b(data, digest_size=16).digest()


def _unread(place: int) -> bytes:
    """Stand for the hash of an image that cannot be read; no hash is so short."""
    return place.to_bytes(8)
