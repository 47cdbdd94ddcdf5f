"""Tests of `tunesmith.data.parquet_worker`; those of `tunesmith.data.parquet` start it too."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.core.errors import SourceError
from tunesmith.data.parquet_worker import Row, batches, head, opened

MODULE = "tunesmith.data.parquet_worker"


def write(path: Path, columns: dict[str, object], note: object = None) -> Path:
    """A table, with a note for Hugging Face's `datasets` if there is one."""
    table = pa.table(columns)
    if note is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
    parquet.write_table(table, path)
    return path


def read(path: Path, *places: int) -> list[Row]:
    with opened(path) as file:
        return [row for rows in batches(file, places) for row in rows]


def test_the_layout_of_hugging_face_is_understood(tmp_path: Path) -> None:
    images = [{"bytes": b"one", "path": None}, {"bytes": b"two", "path": "2.png"}]
    labels = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    path = write(
        tmp_path / "x.parquet",
        {"image": images, "label": [1, -1]},  # -1: no label is known
        {"info": {"features": {"image": {"_type": "Image"}, "label": labels}}},
    )
    assert read(path, 0, 1) == [[b"one", "dog"], [b"two", ""]]
    assert read(path, 1) == [["dog"], [""]]


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
    path = write(tmp_path / "x.parquet", {"path": ["a.png"], "label": [1]}, note)
    assert read(path, 0, 1) == [["a.png", "1"]]


def test_a_note_that_is_no_json_says_nothing(tmp_path: Path) -> None:
    table = pa.table({"path": ["a.png"]}).replace_schema_metadata({"huggingface": "{"})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", 0) == [["a.png"]]


def test_where_there_is_no_image_its_path_counts(tmp_path: Path) -> None:
    images = [{"bytes": None, "path": "1.png"}, {"bytes": b"two", "path": "2.png"}]
    path = write(tmp_path / "x.parquet", {"image": images})
    assert read(path, 0) == [["1.png"], [b"two"]]


def test_a_head_counts_the_bytes_of_chosen_columns_alone(tmp_path: Path) -> None:
    images = [{"bytes": bytes([i]) * 1000, "path": None} for i in range(9)]
    path = write(tmp_path / "x.parquet", {"image": images, "label": ["x"] * 9})
    with opened(path) as file:
        heads = [head(file, places) for places in ([], [1], [0], [0, 1])]
    assert all((found.names, found.rows) == (["image", "label"], 9) for found in heads)
    none, label, image, both = (found.claimed for found in heads)
    assert none == 0 < label < 1000
    assert image > 9000
    assert both == image + label


def test_too_little_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError

    monkeypatch.setattr(parquet, "ParquetFile", exhausted)
    path = tmp_path / "x.parquet"
    with pytest.raises(SourceError, match=r"half of the memory at most, but .*x\.parquet takes mo"):
        read(path, 0)


def lines_of(path: Path, places: str) -> bytes:
    limits = str(10**9), "10", "60"
    command = [sys.executable, "-m", MODULE, str(path), *limits, places]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_process_writes_lines_and_the_bytes_of_images(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": [b"a\nb", None], "label": ["x", "y"]})
    begin = rb'\["ready", null\]\n\["head", \[\["image", "label"\], 2, (\d+)\]\]\n'
    end = rb'\["end", null\]\n'
    rows = rb'\["rows", \[\[3, "x"\], \["", "y"\]\]\]\na\nb'
    assert re.fullmatch(begin + rows + end, lines_of(path, "[0, 1]"))
    only = re.fullmatch(begin + end, lines_of(path, "[]"))
    assert only
    assert only[1] == b"0"


def test_a_process_tells_an_error_by_its_name(tmp_path: Path) -> None:
    lines = lines_of(tmp_path / "none.parquet", "[0]").splitlines()
    assert lines[0] == b'["ready", null]'
    kind, text = json.loads(lines[1])
    assert kind == "SourceError"
    assert text.startswith(f"{tmp_path / 'none.parquet'} cannot be read as a Parquet table: ")
    assert len(lines) == 2
