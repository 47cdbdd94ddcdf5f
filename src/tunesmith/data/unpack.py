"""Packed files of arrays, unpacked no further than what they may hold."""

import gzip
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import most_unpacked

PIECE = 1_000_000  # bytes that are unpacked at a time


def _bomb(path: Path) -> SourceError:
    """The error for a file that unpacks to too much, to be raised."""
    return SourceError(
        f"{path} looks like a decompression bomb: it unpacks to more than {most_unpacked(path):,} "
        "bytes. If you trust it, save what it holds without compression."
    )


def unpacked(path: Path) -> bytes:
    """What a .gz file holds.

    Raises:
        OSError: It is damaged; zlib.error and EOFError say so too.
        SourceError: It unpacks to too much.
    """
    most, size = most_unpacked(path), 0
    pieces: list[bytes] = []
    with gzip.open(path) as file:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > most:
                raise _bomb(path)
            pieces.append(piece)
    return b"".join(pieces)


def check_size(path: Path, opened: zipfile.ZipFile, keys: Sequence[str]) -> None:
    """Refuse arrays that unpack to too much; no more is read of them than their headers claim.

    Raises:
        SourceError: They do.
    """
    wanted = {*keys, *(f"{key}.npy" for key in keys)}  # NumPy takes the end off
    claimed = sum(info.file_size for info in opened.infolist() if info.filename in wanted)
    if claimed > most_unpacked(path):
        raise _bomb(path)
