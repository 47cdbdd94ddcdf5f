"""Read CIFAR-10 in its binary version: fixed-size records in a compressed tar file."""

import gzip
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import bomb, most_unpacked
from tunesmith.data.arrays import Arrays
from tunesmith.data.folders import listed
from tunesmith.data.tars import PIECE, members

FILE = "cifar-10-binary.tar.gz"
SHAPE = (3, 32, 32)  # C, H, W
RECORD = 1 + 3 * 32 * 32  # bytes: the class, then one color plane after another
CLASSES = "batches.meta.txt"
TEST = "test_batch.bin"
PARTS = (*(f"data_batch_{number}.bin" for number in range(1, 6)), TEST)
MOST = 40_000_000  # bytes of one of these files; as published, it has 30,730,000


def find_cifar(path: Path) -> Path | None:
    """The published file, if a path is that file or a folder that holds it; else None."""
    # os.path returns False where pathlib raises: a folder may not be readable.
    file = path / FILE if os.path.isdir(path) else path  # noqa: PTH112
    return file if file.name == FILE and os.path.isfile(file) else None  # noqa: PTH113


def read_cifar(path: Path) -> Arrays:
    """Read the published file (Krizhevsky 2009, "Learning multiple layers of features").

    Raises:
        SourceError: The file is damaged.
    """
    found = _members(path)
    if lacking := [name for name in (CLASSES, *PARTS) if name not in found]:
        raise SourceError(f"{path} must hold {listed(lacking)}, but does not. Fetch it again.")
    classes = tuple(found[CLASSES].decode("utf-8", "replace").split())
    counts = [len(found[name]) // RECORD for name in PARTS]
    records = np.frombuffer(b"".join(found.pop(name) for name in PARTS), np.uint8)
    if records.size != RECORD * sum(counts) or records[::RECORD].max(initial=0) >= len(classes):
        raise SourceError(
            f"{path} must hold records of {RECORD:,} bytes that begin with one of {len(classes)} "
            "classes, but holds others. Fetch it again."
        )
    records = records.reshape(-1, RECORD)
    x_NCHW = records[:, 1:].reshape(-1, *SHAPE)
    return Arrays(
        images=np.ascontiguousarray(x_NCHW.transpose(0, 2, 3, 1)),
        labels=records[:, 0].astype(np.int64),
        classes=classes,
        is_test=np.repeat([name == TEST for name in PARTS], counts),
    )


def _members(path: Path) -> dict[str, bytes]:
    """Read the archive's batches and class names, by file name without folders.

    Raises:
        SourceError: The archive is damaged, or a decompression bomb.
    """
    found: dict[str, bytes] = {}
    try:
        most = most_unpacked(path)
        with gzip.open(path) as packed:
            for info in members(packed):
                name = PurePosixPath(info.name).name
                if info.offset_data + info.size > most:
                    raise bomb(path)
                if name in {CLASSES, *PARTS} and info.isfile() and info.size <= MOST:
                    found[name] = packed.read(info.size)
            packed.read(PIECE)  # up to its end, where the checksum is
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be unpacked: {error}. Fetch it again.") from None
    return found
