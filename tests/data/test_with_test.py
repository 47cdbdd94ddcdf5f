"""Tests of `tunesmith.data.with_test`."""

from pathlib import Path

import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data.source import Given
from tunesmith.data.sources import open_source

from .test_sources import IMAGE, NAMES, content, pack, write


def test_a_test_part_of_its_own_is_added_by_class_names(tmp_path: Path) -> None:
    found = open_source(
        write(tmp_path / "pets", NAMES), test=pack(tmp_path / "test.zip", ["dog/1.png"])
    )
    assert ("test:dog/1.png", "dog", Given.TEST) in content(found)
    assert (found.given == Given.TEST).sum() == 1
    assert found.read(len(found.names) - 1) == IMAGE


def test_a_test_part_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    pets = write(tmp_path / "pets", NAMES)
    parts = write(tmp_path / "parts", [f"{p}/{n}" for p in ("train", "test") for n in NAMES])
    with pytest.raises(SourceError, match="parts has one already"):
        open_source(parts, test=pets)
    with pytest.raises(SourceError, match="parts states parts of its own"):
        open_source(pets, test=parts)
    with pytest.raises(SourceError, match="pets is the training data itself"):
        open_source(pets, test=pets)
    with pytest.raises(SourceError, match="the test part alone has: elk"):
        open_source(pets, test=write(tmp_path / "more", ["elk/1.png", "cat/1.png"]))


def _grouped(path: Path, names: list[str], groups: list[str]) -> Path:
    rows = [f"{name},{name[:3]},{who}" for name, who in zip(names, groups, strict=True)]
    path.write_text("\n".join(["path,label,patient", *rows]))
    return path


def test_groups_of_a_test_table_are_compared_by_name(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    train = _grouped(tmp_path / "train.csv", NAMES[:5], ["p1", "p2", "", "p3", "p1"])
    same = _grouped(tmp_path / "same.csv", NAMES[5:], ["p3"])
    with pytest.raises(
        SourceError,
        match=r"train and its test part, same, share 1 group: p3\. .* by --columns group=-\.$",
    ):
        open_source(train, test=same)
    # Numbers of groups are those of a table; names alone say what is the same.
    other = _grouped(tmp_path / "other.csv", [NAMES[0], *NAMES[4:]], ["p4", "p4", ""])
    found = open_source(train, test=other)
    assert found.groups is not None
    ours, theirs = found.groups[:5].tolist(), found.groups[5:].tolist()
    assert ours[0] == ours[4]
    assert theirs[0] == theirs[1] != theirs[2]
    assert not set(ours) & set(theirs)
    assert found.columns == {"path": "path", "label": "label", "group": "patient"}
    plain = open_source(pack(tmp_path / "x.zip", NAMES), test=other).groups
    assert plain is not None
    assert (len(set(plain[:6])), len(set(plain))) == (6, 8)
    bare = open_source(train, test=same, columns={"group": "-"})
    assert bare.groups is None
