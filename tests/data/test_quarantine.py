"""Tests of `tunesmith.data.quarantine`."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.core.errors import SourceError
from tunesmith.data.quarantine import bare, shielded, to_csv, without_listed
from tunesmith.data.source import Given, Source
from tunesmith.data.sources import open_source

X = np.arange(12, dtype=np.uint8).repeat(4).reshape(12, 2, 2)
Y = np.arange(12) % 3


@pytest.fixture
def source() -> Source:
    return open_source((X, Y))


def written(tmp_path: Path, *files: str) -> Path:
    path = tmp_path / "q.csv"
    path.write_text(to_csv((file, "0", "conflict", "of two, labels") for file in files))
    return path


def test_what_is_listed_is_gone_and_the_rest_is_as_it_was(source: Source, tmp_path: Path) -> None:
    rest = without_listed(source, written(tmp_path, "#3", "#0"))
    assert rest.names == ("#1", "#2", *(f"#{i}" for i in range(4, 12)))
    assert rest.classes == source.classes
    np.testing.assert_array_equal(rest.labels, np.delete(Y, [0, 3]))
    np.testing.assert_array_equal(rest.read(2), X[4][..., None])
    assert rest.skipped == {"image listed to be left out": 2}
    assert rest.identity != source.identity
    assert rest.identity == without_listed(source, written(tmp_path, "#0", "#3")).identity


def test_a_list_of_nothing_changes_nothing(source: Source, tmp_path: Path) -> None:
    assert without_listed(source, written(tmp_path)) is source


def test_a_spreadsheet_s_own_marks_and_columns_do_no_harm(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("\ufeffreason,file\r\nbad,#5\r\n,\r\n", encoding="utf-8")
    assert "#5" not in without_listed(source, path).names


def test_a_list_that_empties_a_class_is_named_as_the_cause(source: Source, tmp_path: Path) -> None:
    path = written(tmp_path, *(f"#{i}" for i in (1, 4, 7)))
    with pytest.raises(
        SourceError, match=r"q\.csv lists .* leaves fewer of: 1\. Take what is good"
    ):
        open_source(source, quarantine=path)
    whole = written(tmp_path, *(f"#{i}" for i in (0, 1, 2, 3, 4, 6, 7, 9, 10)))
    with pytest.raises(SourceError, match=r"fewer of: 0, 1\."):
        open_source(source, quarantine=whole)
    tested = replace(source, given=np.array([Given.TRAIN] * 6 + [Given.TEST] * 6, np.int8))
    rest = open_source(tested, quarantine=written(tmp_path, "#6", "#9"))
    assert len(rest.names) == 10


def test_groups_stay(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"{i}.png,{'ab'[i % 2]},g{i // 4}" for i in range(12)]
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(b"x")
    table.write_text("\n".join(["path,label,group", *rows]))
    source = open_source(table)
    rest = without_listed(source, written(tmp_path, "1.png"))
    assert source.groups is not None
    assert rest.groups is not None
    np.testing.assert_array_equal(rest.groups, np.delete(source.groups, 1))


def test_a_list_of_other_data(source: Source, tmp_path: Path) -> None:
    path = written(tmp_path, "#1", "cat/1.png", "cat/2.png")
    with pytest.raises(SourceError, match=r"2 of 3 in .*q\.csv are not in arrays: cat/1\.png"):
        without_listed(source, path)


def test_a_list_without_the_column(source: Source, tmp_path: Path) -> None:
    for text, found in (("name,label\na,b\n", "name, label"), ("", "nothing")):
        (tmp_path / "q.csv").write_text(text)
        with pytest.raises(SourceError, match=f"column named file, but .* has: {found}"):
            without_listed(source, tmp_path / "q.csv")


def test_a_list_that_cannot_be_read(source: Source, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        without_listed(source, tmp_path / "none.csv")
    (tmp_path / "q.csv").write_bytes(b"file\n\xff\xfe\n")
    with pytest.raises(SourceError, match="cannot be read"):
        without_listed(source, tmp_path / "q.csv")


def test_all_images_of_a_listed_name_are_left_out(source: Source, tmp_path: Path) -> None:
    names = ("caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", *source.names[1:4], *source.names[3:11])
    rest = without_listed(replace(source, names=names), written(tmp_path, "#3", "cafe\u0301.png"))
    assert rest.names == ("#1", "#2", *(f"#{i}" for i in range(4, 11)))
    np.testing.assert_array_equal(rest.labels, np.delete(Y, [0, 3, 4]))
    assert rest.skipped == {"image listed to be left out": 3}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_a_spreadsheet_saves_is_read(
    source: Source, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    rows = [["label", "file", "reason"], ["0", "#5", "of two, labels; or more"], ["", "", ""]]
    path = tmp_path / "q.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert set(source.names) - set(without_listed(source, path).names) == {"#5"}


ODD = ("=1.png", "+2.png", "-3.png", "@4.png", "'=5.png", "''-6.png", "'7.png", "8'=.png")


@given(st.text(alphabet="'=+-@a,;\n\" ", max_size=6))
@example("=HYPERLINK(1)")
def test_no_cell_is_a_formula_and_each_is_read_as_it_was(cell: str) -> None:
    assert bare(shielded(cell)) == cell
    assert not shielded(cell).startswith(("=", "+", "-", "@"))


def test_names_that_look_like_formulas_are_found_again(source: Source, tmp_path: Path) -> None:
    odd = replace(source, names=(*ODD, *source.names[8:]), labels=0 * source.labels)
    path = written(tmp_path, *ODD)
    assert "\n'=1.png," in path.read_text()
    assert without_listed(odd, path).names == source.names[8:]
    path.write_text("file\n=1.png\n-3.png\n'7.png\n")  # somebody else's, as it comes
    assert set(odd.names) - set(without_listed(odd, path).names) == {"=1.png", "-3.png", "'7.png"}


def test_a_pipe_is_no_list(source: Source, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "q.csv")
    with pytest.raises(SourceError, match="cannot be read: it is no regular file"):
        without_listed(source, tmp_path / "q.csv")
