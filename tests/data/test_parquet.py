"""Tests of `tunesmith.data.parquet`."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.core.errors import MissingExtraError, SourceError
from tunesmith.data.parquet import header, rows


def write(path: Path, columns: dict[str, object], features: object = None) -> Path:
    table = pa.table(columns)
    if features:
        noted = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": noted})
    parquet.write_table(table, path)
    return path


def test_the_columns_that_have_a_use_are_read(tmp_path: Path) -> None:
    columns = {"id": [1, 2], "path": ["a.png", None], "label": [" x ", "y"], "box": [[1], [2]]}
    path = write(tmp_path / "x.parquet", columns)
    assert header(path) == ["id", "path", "label", "box"]
    assert list(rows(path, {"label": 2, "path": 1})) == [
        (1, {"label": "x", "path": "a.png"}),
        (2, {"label": "y", "path": ""}),
    ]


def test_the_layout_of_hugging_face_is_understood(tmp_path: Path) -> None:
    images = [{"bytes": b"one", "path": None}, {"bytes": b"two", "path": "2.png"}]
    labels = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    path = write(
        tmp_path / "x.parquet",
        {"image": images, "label": [1, -1]},  # -1: no label is known
        {"image": {"_type": "Image"}, "label": labels},
    )
    assert list(rows(path, {"path": 0, "label": 1})) == [
        (1, {"path": b"one", "label": "dog"}),
        (2, {"path": b"two", "label": ""}),
    ]


@pytest.mark.parametrize("end", [0, 4, 100, -10])
def test_a_damaged_file_is_told(tmp_path: Path, end: int) -> None:
    path = write(tmp_path / "x.parquet", {"path": ["a.png"] * 100, "label": ["x"] * 100})
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(SourceError, match=r"cannot be read as a Parquet table: .*fetch it again"):
        header(path)


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"path": [f"{i}.png" for i in range(999)]})
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 2000 + path.read_bytes()[2004:])
    with pytest.raises(SourceError, match="cannot be read as a Parquet table"):
        list(rows(path, {"path": 0}))


def test_without_its_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "tunesmith\[parquet\]"'):
        header(tmp_path / "x.parquet")
