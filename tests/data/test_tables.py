"""Tests of `tunesmith.data.tables`."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.core.errors import SourceError
from tunesmith.data.tables import Table, is_table, read_table

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
    assert table.read(0) == b"a/1.png"


def test_columns_may_be_named(folder: Path) -> None:
    text = "path,wo,was\nnowhere,a/1.png,Käfer\nnowhere,b/1.png,甲虫\n"
    table = read(folder, text, path="wo", label="was")
    assert table.classes == ("Käfer", "甲虫")
    assert table.names == ("a/1.png", "b/1.png")


def test_columns_are_told_and_may_be_left_out(folder: Path) -> None:
    text = "File, label,camera,set\na/1.png,x,7,train\na/2.png,x,7,test\n"
    with pytest.raises(SourceError, match=r"\(column camera\) .* split=-, .* --columns group=-\.$"):
        read(folder, text)
    table = read(folder, text, group="-")
    assert table.columns == {"path": "File", "label": "label", "split": "set"}
    assert table.groups is None
    table = read(folder, text, split="-")
    assert table.columns == {"path": "File", "label": "label", "group": "camera"}
    assert table.parts == ["", ""]
    assert read(folder, "path,label,-\na/1.png,x,1\n", group="-").groups == [0]
    with pytest.raises(SourceError, match="none for label was found"):
        read(folder, text, label="-")


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
        "repeated row": 1,
    }


def test_nan_is_no_value(folder: Path) -> None:
    names = ["path", "label", "split", "group"]
    rows = [("a/1.png", "x", "NaN", "nan"), ("a/2.png", "y", "", "nan"), ("b/1.png", "NaN", "", "")]
    text = read(folder, "\n".join(",".join(row) for row in [names, *rows, ("<NA>", "y", "", "")]))
    assert (text.names, text.classes, text.groups) == (("a/1.png", "a/2.png"), ("x", "y"), None)
    assert text.skipped == {"row without a path": 1, "row without a label": 1}
    columns = {"path": list(FILES[:3]), "label": [1.5, 2.0, float("nan")]}
    parquet.write_table(pa.table(columns), folder / "x.parquet")
    table = read_table(folder / "x.parquet", {})
    assert (table.classes, table.skipped) == (("1.5", "2.0"), {"row without a label": 1})


@pytest.mark.parametrize("name", ["gone.png", "a", "\0.png", "x" * 5000])
def test_what_is_no_file_is_an_os_error_and_the_rest_is_read(folder: Path, name: str) -> None:
    table = read(folder, f"path,label\n{name},y\na/1.png,x\n")
    assert table.read(1) == b"a/1.png"
    with pytest.raises(OSError, match=r"No such file|Is a directory|no file has|too long"):
        table.read(0)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", {}, "must hold a header"),
        ("path,label\n", {"label": "lable"}, r"no column 'lable'.*label"),
        ("path,label\n", {"lable": "label"}, r"got 'lable'.*label"),
        ("path,kind\na/1.png,x\n", {}, r"none for label was found among: path, kind.*label=NAME"),
        ("path,label,split\na/1.png,x,later\n", {}, "train, val or test, but row 2 .*'later'"),
        ("path,label\na/1.png,x\na/1.png,y\n", {}, r"row 3 .* `y`, and an earlier row `x`"),
        ("path,label\nno/1.png,x\nno/2.png,y\n", {}, "of the 2 .* none is there: no/1.png"),
        ("path,label\n", {}, r"has none \(skipped: nothing\)"),
        ("path,label\na/1.png,\n,x\n", {}, "1 row without a label, 1 row without a path"),
        ("path,label\n\na/1.png,x,y\n", {}, "each of the 2 columns, but row 3 .* has 3"),
        (
            "path,label,split,group\na/1.png,x,train,7\na/2.png,x,test,7\n",
            {},
            "group 7 is in test and train",
        ),
    ],
    ids=[
        "empty",
        "column",
        "use",
        "lacking",
        "part",
        "contradiction",
        "nowhere",
        "no row",
        "no label",
        "field",
        "group",
    ],
)
def test_what_is_wrong_is_told(
    folder: Path, text: str, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read(folder, text, **columns)


def test_parquet_says_what_csv_says(folder: Path) -> None:
    rows = [("a/1.png", "10", "train", "7"), ("a/2.png", "9", "", "8"), ("b/1.png", "9", "", "8")]
    names = ["path", "label", "split", "group"]
    text = read(folder, "\n".join(",".join(row) for row in [names, *rows]))
    path = folder / "labels.PARQUET"
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    parquet.write_table(pa.table({**columns, "label": [10, 9, 9]}), path)
    table = read_table(path, {})
    assert replace(table, read=text.read) == text
    assert [table.read(index) for index in range(3)] == [name.encode() for name, *_ in rows]


def test_texts_of_parquet_may_be_stored_as_bytes(folder: Path) -> None:
    columns = {"path": [*FILES], "label": ["cat", "dog"] * 2, "group": ["1", "2", "3", "4"]}
    parquet.write_table(pa.table(columns), folder / "texts.parquet")
    encoded = {name: [text.encode() for text in texts] for name, texts in columns.items()}
    parquet.write_table(pa.table(encoded), folder / "bytes.parquet")
    text, found = (read_table(folder / f"{name}.parquet", {}) for name in ("texts", "bytes"))
    assert replace(found, read=text.read) == text


def test_images_in_a_table_are_their_own_files(tmp_path: Path) -> None:
    images: list[dict[str, str | bytes | None]] = [
        {"bytes": content, "path": "1.png"} for content in (b"one", b"two", b"one")
    ]
    images.append({"bytes": None, "path": None})
    table = pa.table({"image": images, "label": ["x", "y", "x", "y"]})
    parquet.write_table(table, tmp_path / "x.parquet")
    found = read_table(tmp_path / "x.parquet", {})
    assert found.names == ("#0", "#1", "#2")
    assert [found.read(index) for index in range(3)] == [b"one", b"two", b"one"]
    assert found.stamps[0] == found.stamps[2] != found.stamps[1]
    assert found.skipped == {"row without a path": 1}


def test_a_table_may_hold_some_images_and_name_others(folder: Path) -> None:
    images = [{"bytes": b"one", "path": "x.png"}, {"bytes": None, "path": "a/1.png"}]
    images.append({"bytes": None, "path": "gone.png"})
    parquet.write_table(pa.table({"image": images, "label": ["x", "y", "x"]}), folder / "x.parquet")
    found = read_table(folder / "x.parquet", {})
    assert found.names == ("#0", "a/1.png", "gone.png")
    assert [found.read(index) for index in range(2)] == [b"one", b"a/1.png"]
    assert [bool(stamp) for stamp in found.stamps] == [True, True, False]
    with pytest.raises(OSError, match="No such file"):
        found.read(2)


def test_a_table_is_a_file_of_some_names(folder: Path) -> None:
    (folder / "x.TSV").write_text("")
    (folder / "x.csv").mkdir()
    assert is_table(folder / "x.TSV")
    assert not any(map(is_table, [folder / "x.csv", folder / "a", folder / "no.csv", [1], None]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a/1.png"], "kind": ["x"]}, "none for label was found among: path, kind"),
        ({"path": ["a/1.png"], "label": ["x"], "split": ["on"]}, "but row 1 of .* has 'on'"),
        ({"path": ["a/1.png"] * 2, "label": [1, 2]}, "row 2 of .* `2`, and an earlier row `1`"),
        ({"path": ["a/1.png"], "label": [b"\xff\xd8"]}, r"row 1 of .* no text in UTF-8: b'\\xff"),
        ({"path": ["no.png"], "label": [1]}, "of the 1 .* none is there: no.png"),
        ({"path": [None], "label": [1]}, "skipped: 1 row without a path"),
    ],
)
def test_what_is_wrong_in_parquet_is_told_too(
    folder: Path, columns: dict[str, list[object]], message: str
) -> None:
    parquet.write_table(pa.table(columns), folder / "x.parquet")
    with pytest.raises(SourceError, match=message):
        read_table(folder / "x.parquet", {})


def test_a_table_that_is_no_text_is_told(folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes(b"path,label\n\xff\xfe,x\n")
    with pytest.raises(SourceError, match="Save it as UTF-8"):
        read_table(path, {})
    with pytest.raises(SourceError, match="cannot be read as a table"):
        read_table(folder / "none.csv", {})
