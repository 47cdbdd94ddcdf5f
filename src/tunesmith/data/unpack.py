"""Decompress files of arrays, up to a size limit."""

import gzip
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import most_unpacked

PIECE = 1_000_000  # bytes that are decompressed at a time


def _bomb(path: Path) -> SourceError:
    """Build the error for a file that decompresses to too much."""
    return SourceError(
        f"{path} looks like a decompression bomb: it unpacks to more than {most_unpacked(path):,} "
        "bytes. If you trust it, save what it holds without compression."
    )


def unpacked(path: Path) -> bytes:
    """Decompress a .gz file.

    Raises:
        OSError: The file is damaged; this may also raise zlib.error or EOFError.
        SourceError: The file decompresses to too much.
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
    """Refuse arrays that claim to decompress to too much; no more than that is ever read of them.

    Raises:
        SourceError: The arrays claim too much.
    """
    wanted = {*keys, *(f"{key}.npy" for key in keys)}  # NumPy removes the suffix
    claimed = sum(info.file_size for info in opened.infolist() if info.filename in wanted)
    if claimed > most_unpacked(path):
        raise _bomb(path)
