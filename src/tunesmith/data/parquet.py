"""Parquet tables, also those that hold the images themselves, as Hugging Face's do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.core.errors import SourceError
from tunesmith.core.optional import require

SUFFIX = ".parquet"
FEATURES = b"huggingface"  # key of the schema's metadata: JSON that names the classes


def header(path: Path) -> list[str]:
    """Names of the columns.

    Raises:
        SourceError: It is no Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    with _opened(path) as file:
        names: list[str] = file.schema_arrow.names
        return names


def rows(path: Path, at: Mapping[str, int]) -> Iterator[tuple[int, dict[str, str | bytes]]]:
    """Read the columns that have a use, and no others.

    Args:
        path: The file.
        at: Places of columns by their use.

    Yields:
        The number of each row, from 1, and its cells by their use: text, the bytes of an image,
        or an empty text for nothing.

    Raises:
        SourceError: The file is damaged.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        names = {use: schema.names[place] for use, place in at.items()}
        table = file.read(columns=list(names.values()))
        features = _features(schema.metadata or {})
        columns = {
            use: [_cell(value, _classes(features, name)) for value in table[name].to_pylist()]
            for use, name in names.items()
        }
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield number, dict(zip(columns, cells, strict=True))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow = require("pyarrow", extra="parquet")
    try:
        with require("pyarrow.parquet", extra="parquet").ParquetFile(path) as file:
            yield file
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise SourceError(
            f"{path} cannot be read as a Parquet table: {error}. If it was cut off on its "
            "way, fetch it again."
        ) from None


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """What Hugging Face's `datasets` has noted of each column."""
    stated = json.loads(metadata.get(FEATURES, b"{}"))
    features: Mapping[str, Any] = stated.get("info", {}).get("features", {})
    return features


def _classes(features: Mapping[str, Any], column: str) -> list[str] | None:
    """Names of the classes that a column has the numbers of."""
    names: list[str] | None = features.get(column, {}).get("names")
    return names


def _cell(value: Any, classes: list[str] | None) -> str | bytes:
    """A value as text; an image as bytes, which Hugging Face keeps beside its path.

    Example:
        >>> _cell(1, ["cat", "dog"]), _cell(-1, ["cat", "dog"]), _cell(None, None)
        ('dog', '', '')
        >>> _cell({"bytes": b"PNG", "path": "1.png"}, None)
        b'PNG'

    """
    if isinstance(value, Mapping):
        value = value.get("bytes")
    if value is None or isinstance(value, bytes):
        return value or ""
    if classes is not None and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return str(value).strip()
