"""Read Parquet tables, including those that hold the images themselves, as Hugging Face's do."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.core.errors import SourceError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.core.optional import require
from tunesmith.core.words import megabytes
from tunesmith.data.archives import most_unpacked

SUFFIX = ".parquet"
FEATURES = b"huggingface"  # key of the schema's metadata: JSON that names the classes
AT_ONCE = 100  # rows that are decompressed at a time
ROW = 500  # bytes that a row takes in memory in addition to its cells, at least
SHARE = 2  # a table may take this fraction of the memory: one half
MEMORY = 8_000_000_000  # bytes assumed if the system does not report its memory
Cells = dict[str, str | bytes]


def header(path: Path) -> list[str]:
    """Read the names of the columns.

    Raises:
        SourceError: The file is not a Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    with _opened(path) as file:
        names: list[str] = file.schema_arrow.names
        return names


def rows(path: Path, at: Mapping[str, int]) -> Iterator[tuple[int, Cells]]:
    """Read the columns that have a role, and no others.

    All of them stay in memory. They may take half of it, and decompress to as much as an archive.

    Args:
        path: File to read.
        at: Column indices by role.

    Yields:
        The number of each row, from 1, and its cells by role: text, the bytes of an image, or an
        empty string for a missing value.

    Raises:
        SourceError: The file is damaged, or too large.
    """
    number, taken = 0, 0
    with _opened(path) as file:
        names = {use: file.schema_arrow.names[place] for use, place in at.items()}
        promised = file.metadata.num_rows
        room = _memory() // SHARE - ROW * promised
        if _claimed(file.metadata, names.values()) > room:
            raise _giant(path, promised)
        room = min(room, most_unpacked(path))
        for number, cells in enumerate(_rows(file, names), start=1):
            sizes = [len(cell) for cell in cells.values()]
            if max(sizes) > LARGEST_FILE:
                raise SourceError(
                    f"A cell holds {LARGEST_FILE:,} bytes at most, as a file does, but row "
                    f"{number} of {path} has one of {max(sizes):,}. Leave it out."
                )
            taken += sum(sizes)
            if taken > room:
                raise _giant(path, promised)
            yield number, cells
    if number != promised:
        raise _damaged(path, f"it promises {promised:,} rows, but holds {number:,}")


def _rows(file: Any, names: Mapping[str, str]) -> Iterator[Cells]:
    """Yield the cells of each row by role; few rows are decompressed at a time."""
    features = _features(file.schema_arrow.metadata or {})
    classes = {use: _classes(features, name) for use, name in names.items()}
    for batch in file.iter_batches(AT_ONCE, columns=list(names.values())):
        found = batch.schema.names
        columns = [batch.column(found.index(name)).to_pylist() for name in names.values()]
        for values in zip(*columns, strict=True):
            by_use = zip(names, values, strict=True)
            yield {use: _cell(value, classes[use]) for use, value in by_use}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = (require(each, extra="parquet") for each in ("pyarrow", "pyarrow.parquet"))
    try:
        # A pre-buffer would keep all compressed data in memory.
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except SourceError:
        raise
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, reason: str) -> SourceError:
    """Build the error for a file that cannot be read."""
    return SourceError(
        f"{path} cannot be read as a Parquet table: {reason}. If it was cut off on its "
        "way, fetch it again."
    )


def _giant(path: Path, count: int) -> SourceError:
    """Build the error for a file that is too large, or a decompression bomb."""
    most = megabytes(_memory() / SHARE)
    return SourceError(
        f"A table must fit into half of the memory ({most}), and unpack to "
        f"{megabytes(most_unpacked(path))} at most, but {path} of {count:,} rows does not. Split "
        "it, or write its images into class folders."
    )


def _claimed(metadata: Any, names: Collection[str]) -> int:
    """Uncompressed bytes that columns claim, including nested columns."""
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    return sum(
        max(0, chunk.total_uncompressed_size)
        for chunk in chunks
        if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in names)
    )


def _memory() -> int:
    """Memory of the machine in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return MEMORY


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """Column features that Hugging Face's `datasets` has stored; empty if there are none."""
    try:
        stated = json.loads(metadata.get(FEATURES, b"{}"))
    except (ValueError, RecursionError):
        return {}
    for key in ("info", "features"):
        stated = stated.get(key) if isinstance(stated, Mapping) else None
    return stated if isinstance(stated, Mapping) else {}


def _classes(features: Mapping[str, Any], column: str) -> list[str] | None:
    """Class names of a column of class indices; None for other columns."""
    feature = features.get(column)
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else None


def _cell(value: Any, classes: list[str] | None) -> str | bytes:
    """Convert a value to text, or an image to its bytes, or to its path if it has no bytes.

    Example:
        >>> _cell(1, ["cat", "dog"]), _cell(-1, ["cat", "dog"]), _cell(None, None)
        ('dog', '', '')
        >>> _cell({"bytes": b"PNG", "path": "1.png"}, None)
        b'PNG'
        >>> _cell({"bytes": None, "path": "1.png"}, None)
        '1.png'

    """
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if value is None or isinstance(value, bytes):
        return value or ""
    if classes is not None and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return str(value).strip()
