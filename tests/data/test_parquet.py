"""Tests of `tunesmith.data.parquet`."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.core.errors import MissingExtraError, SourceError
from tunesmith.data import archives
from tunesmith.data import parquet as parquet_module
from tunesmith.data.parquet import header, rows


def write(path: Path, columns: dict[str, object], features: object = None) -> Path:
    return noted(path, columns, {"info": {"features": features}} if features else None)


def noted(path: Path, columns: dict[str, object], note: object) -> Path:
    """A table with a note for Hugging Face's `datasets`."""
    table = pa.table(columns)
    if note is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
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


@pytest.mark.parametrize(
    "note",
    [
        {"info": None},
        {"info": [1]},
        {"info": {"features": None}},
        {"info": {"features": [{"name": "label"}]}},
        {"info": {"features": {"label": ["cat", "dog"]}}},
        {"info": {"features": {"label": {"names": "cat"}}}},
        [],
        "cat",
        None,
    ],
)
def test_a_note_of_another_kind_says_nothing(tmp_path: Path, note: object) -> None:
    path = noted(tmp_path / "x.parquet", {"path": ["a.png"], "label": [1]}, note)
    assert list(rows(path, {"path": 0, "label": 1})) == [(1, {"path": "a.png", "label": "1"})]


def test_a_note_that_is_no_json_says_nothing(tmp_path: Path) -> None:
    table = pa.table({"path": ["a.png"]}).replace_schema_metadata({"huggingface": "{"})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert list(rows(tmp_path / "x.parquet", {"path": 0})) == [(1, {"path": "a.png"})]


def test_where_there_is_no_image_its_path_counts(tmp_path: Path) -> None:
    images = [{"bytes": None, "path": "1.png"}, {"bytes": b"two", "path": "2.png"}]
    path = write(tmp_path / "x.parquet", {"image": images})
    assert [cells["path"] for _, cells in rows(path, {"path": 0})] == ["1.png", b"two"]


def test_rows_are_numbered_over_all_pieces(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(1050)]
    parquet.write_table(pa.table({"path": names}), tmp_path / "x.parquet", row_group_size=333)
    found = list(rows(tmp_path / "x.parquet", {"path": 0}))
    assert found == [(i + 1, {"path": name}) for i, name in enumerate(names)]


def test_a_table_that_does_not_fit_into_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [str(i) * 1000 for i in range(1000)]
    path = write(tmp_path / "x.parquet", {"path": ["a.png"] * 1000, "more": more})
    memory = 2 * 1000 * (parquet_module.ROW + 100)
    monkeypatch.setattr(parquet_module, "_memory", lambda: memory)
    assert len(list(rows(path, {"path": 0}))) == 1000  # what is not read does not count
    monkeypatch.setattr(parquet_module, "_memory", lambda: memory // 2)
    monkeypatch.setattr(parquet_module, "_rows", None)
    with pytest.raises(SourceError, match=r"half of the memory \(0\.3 MB\).* of 1,000 rows"):
        next(rows(path, {"path": 0}))


def test_a_bomb_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    path = write(tmp_path / "x.parquet", {"image": [b"x" * 1000] * 10_000})
    assert path.stat().st_size < 40_000
    with pytest.raises(SourceError, match=r"unpack to .* MB at most, but .* of 10,000 rows does n"):
        list(rows(path, {"path": 0}))


def test_a_cell_is_no_larger_than_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "LARGEST_FILE", 2)
    path = write(tmp_path / "x.parquet", {"image": [b"12", b"123"]})
    with pytest.raises(SourceError, match=r"A cell holds 2 bytes .* row 2 of .* has one of 3\. Le"):
        list(rows(path, {"path": 0}))


def test_a_reader_may_stop(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"path": ["a.png"] * 300})
    reader = rows(path, {"path": 0})
    assert next(reader)[0] == 1
    del reader
    path.unlink()
