"""Tests of `tunesmith.data.tables`."""

from pathlib import Path

import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data.tables import Table, read_table

FILES = ("a/1.png", "a/2.png", "b/1.png", "b/10.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def read(folder: Path, text: str, *, encoding: str = "utf-8", **columns: str) -> Table:
    path = folder / "labels.csv"
    path.write_text(text, encoding)
    return read_table(path, columns)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_are_found_by_usual_names(folder: Path, delimiter: str, encoding: str) -> None:
    text = "id,Image,Label\n1,a/1.png,10\n2,a/2.png,9\n3,b/1.png,9\n".replace(",", delimiter)
    table = read(folder, text, encoding=encoding)
    assert table.names == ("a/1.png", "a/2.png", "b/1.png")
    assert table.classes == ("9", "10")
    assert table.labels == [1, 0, 0]
    assert table.parts == ["", "", ""]
    assert table.groups is None
    assert table.paths[0].read_bytes() == b"a/1.png"


def test_columns_may_be_named(folder: Path) -> None:
    text = "path,wo,was\nnowhere,a/1.png,Käfer\nnowhere,b/1.png,甲虫\n"
    table = read(folder, text, path="wo", label="was")
    assert table.classes == ("Käfer", "甲虫")
    assert table.names == ("a/1.png", "b/1.png")


def test_parts_and_groups_are_read(folder: Path) -> None:
    rows = ["a/1.png,x,Train,7", "a/2.png,x,train,7", "b/1.png,y,val,", "b/10.png,y,TEST,"]
    table = read(folder, "\n".join(["path,label,split,patient", *rows]))
    assert table.parts == ["train", "train", "validation", "test"]
    assert table.groups is not None
    assert table.groups[0] == table.groups[1]
    assert len(set(table.groups)) == 3


def test_rows_that_say_nothing_new_are_counted(folder: Path) -> None:
    rows = ["a/1.png,x", ",x", "b/1.png,", "a/1.png,x", "", "a/2.png,y"]
    table = read(folder, "\n".join(["path,label", *rows]))
    assert table.labels == [0, 1]
    assert table.skipped == {
        "row without a path": 1,
        "row without a label": 1,
        "row that repeats another": 1,
    }


def test_a_missing_file_has_no_stamp_and_the_rest_is_read(folder: Path) -> None:
    table = read(folder, "path,label\na/1.png,x\ngone.png,y\n")
    assert [bool(stamp) for stamp in table.stamps] == [True, False]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", {}, "must hold a header"),
        ("path,label\n", {"label": "lable"}, r"no column 'lable'.*label"),
        ("path,label\n", {"lable": "label"}, r"got 'lable'.*label"),
        ("path,kind\na/1.png,x\n", {}, r"none for label was found among: path, kind.*label=NAME"),
        ("path,label,split\na/1.png,x,later\n", {}, "train, val or test, but row 2 .*'later'"),
        ("path,label\na/1.png,x\na/1.png,y\n", {}, r"row 3 .* `y`, and an earlier row `x`"),
        ("path,label\nno/1.png,x\nno/2.png,y\n", {}, "of the first 2 .* none is there: no/1.png"),
        (
            "path,label,split,group\na/1.png,x,train,7\na/2.png,x,test,7\n",
            {},
            "group 7 is in test and train",
        ),
    ],
    ids=["empty", "column", "use", "lacking", "part", "contradiction", "nowhere", "group"],
)
def test_what_is_wrong_is_told(
    folder: Path, text: str, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read(folder, text, **columns)


def test_a_table_that_is_no_text_is_told(folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes(b"path,label\n\xff\xfe,x\n")
    with pytest.raises(SourceError, match="Save it as UTF-8"):
        read_table(path, {})
    with pytest.raises(SourceError, match="cannot be read as a table"):
        read_table(folder / "none.csv", {})
