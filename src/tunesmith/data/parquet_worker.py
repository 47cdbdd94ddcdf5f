"""Parse a Parquet file, and be the process that does so under limits: damage may end pyarrow.

    python -P -m tunesmith.data.parquet_worker PATH MEMORY CPU_S WALL_S PLACES

`tunesmith.data.parquet` starts it; PLACES are the indices of the columns to read, in JSON. What it
finds goes to standard output, in lines of JSON that are pairs of a kind and a value:

- ``ready``: pyarrow is loaded, and the limits are in force.
- ``head``: the fields of `Head`. Without PLACES, nothing more is read.
- ``rows``: for each of some rows, its cells: a text, or the number of bytes of an image. The bytes
  of all of these images follow the line.
- ``end``: there are no more rows.
- the name of an error, and its text.
"""

import json
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tunesmith.core.errors import MissingExtraError, SourceError, UserError
from tunesmith.core.optional import require

FEATURES = b"huggingface"  # key of the schema's metadata: JSON that names the classes
AT_ONCE = 100  # rows that are decompressed at a time
Cell = str | bytes
Row = list[Cell]


class Head(NamedTuple):
    """What a Parquet file says of itself.

    Attributes:
        names: Names of the columns.
        rows: Number of rows.
        claimed: Uncompressed bytes of the columns that are to be read, including nested columns.
    """

    names: list[str]
    rows: int
    claimed: int


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file with pyarrow, and translate its errors.

    Raises:
        SourceError: The file is damaged, or takes too much memory.
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = _packages()
    try:
        # A pre-buffer would keep all compressed data in memory.
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except SourceError:
        raise
    except MemoryError:
        raise SourceError(
            f"Reading a table must take half of the memory at most, but {path} takes more. Split "
            "it, or write its images into class folders."
        ) from None
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, reason: str) -> SourceError:
    """Build the error for a file that cannot be read."""
    return SourceError(
        f"{path} cannot be read as a Parquet table: {reason}. If it was cut off on its "
        "way, fetch it again."
    )


def head(file: Any, places: Sequence[int]) -> Head:
    """Read the head of an open file from which some columns are to be read."""
    names: list[str] = file.schema_arrow.names
    claimed = _claimed(file.metadata, [names[place] for place in places]) if places else 0
    return Head(names, file.metadata.num_rows, claimed)


def batches(file: Any, places: Sequence[int]) -> Iterator[list[Row]]:
    """Read some columns of an open file, a few rows at a time."""
    names = [file.schema_arrow.names[place] for place in places]
    features = _features(file.schema_arrow.metadata or {})
    classes = [_classes(features, name) for name in names]
    # Each thread would take memory of its own.
    for batch in file.iter_batches(AT_ONCE, columns=names, use_threads=False):
        found = batch.schema.names
        columns = [batch.column(found.index(name)).to_pylist() for name in names]
        yield [
            [_cell(value, known) for value, known in zip(values, classes, strict=True)]
            for values in zip(*columns, strict=True)
        ]


def _packages() -> tuple[ModuleType, ModuleType]:
    return require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")


def _claimed(metadata: Any, names: Collection[str]) -> int:
    """Uncompressed bytes that columns claim, including nested columns."""
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    return sum(
        max(0, chunk.total_uncompressed_size)
        for chunk in chunks
        if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in names)
    )


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


def _cell(value: Any, classes: list[str] | None) -> Cell:
    r"""Convert a value to text, or an image to its bytes, or to its path if it has no bytes.

    Texts may be stored as bytes too; an image is not printable.

    Example:
        >>> _cell(1, ["cat", "dog"]), _cell(-1, ["cat", "dog"]), _cell(None, None)
        ('dog', '', '')
        >>> _cell(float("nan"), None), _cell(b"caf\xc3\xa9", None), _cell(b"GIF89a\x01", None)
        ('', 'café', b'GIF89a\x01')
        >>> _cell({"bytes": b"PNG", "path": "1.png"}, None)
        b'PNG'
        >>> _cell({"bytes": None, "path": "1.png"}, None)
        '1.png'

    """
    if isinstance(value, Mapping):
        if isinstance(content := value.get("bytes"), bytes) and content:
            return content
        value = value.get("path")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            text = value.decode().strip()
            return text if text.isprintable() else value
        return value
    if classes is not None and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return str(value).strip()


def main(path: Path, memory: int, cpu_s: float, wall_s: float, places: Sequence[int]) -> None:
    """Parse a file under limits: of memory in all, and of time for each line that is written."""
    # Windows has no such limits, and uses what is above in its own process.
    from tunesmith.data.worker import confine, set_alarms

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")

    def tell(kind: str, value: Any = None, contents: Iterable[bytes] = ()) -> None:
        set_alarms(0, 0)  # writing may have to wait until the other side has read
        answers.write(json.dumps([kind, value]).encode() + b"\n")
        answers.writelines(contents)
        answers.flush()
        set_alarms(cpu_s, wall_s)

    with suppress(MissingExtraError):  # raised again below, where it is told
        _packages()  # before the limit of memory, which counts from what there is
    confine(memory)
    tell("ready")
    try:
        with opened(path) as file:
            tell("head", head(file, places))
            for rows in batches(file, places) if places else ():
                cells = [[c if isinstance(c, str) else len(c) for c in row] for row in rows]
                tell("rows", cells, (c for row in rows for c in row if isinstance(c, bytes)))
        tell("end")
    except UserError as error:
        tell(type(error).__name__, str(error))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        float(sys.argv[3]),
        float(sys.argv[4]),
        json.loads(sys.argv[5]),
    )
