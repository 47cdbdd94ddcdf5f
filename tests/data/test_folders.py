"""Tests of `tunesmith.data.folders`."""

import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import SourceError
from tunesmith.data.folders import (
    first_bytes,
    natural,
    passed_over,
    printable,
    read_layout,
    scan,
    shown,
)

NOBODY = 65534


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_foreign_files_are_skipped_and_counted(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write(root, "a/1.png", "a/deep/2.JPG", "a/notes.txt", "a/.DS_Store", ".git/x.png")
    (root / "b").mkdir()
    os.mkfifo(root / "a" / "pipe.png")
    found = scan(root)
    assert found.paths == (b"a/1.png", b"a/deep/2.JPG")
    assert found.others == (
        (b".git", "hidden file"),
        (b"a/.DS_Store", "hidden file"),
        (b"a/notes.txt", "file of another kind"),
        (b"a/pipe.png", "special file"),
        (b"b/", "empty folder"),
    )
    assert found.skipped == {
        "file of another kind": 1, "hidden file": 2, "empty folder": 1, "special file": 1
    }  # fmt: skip


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "outside/1.png", "pets/a/1.png")
    (tmp_path / "pets" / "b").symlink_to(tmp_path / "outside")
    (tmp_path / "pets" / "a" / "2.png").symlink_to(tmp_path / "outside" / "1.png")
    (tmp_path / "pets" / "a" / "loop").symlink_to(tmp_path / "pets")
    found = scan(tmp_path / "pets")
    assert found.paths == (b"a/1.png",)
    assert found.skipped == {"link": 1, "linked folder": 2}
    assert (b"b/", "linked folder") in found.others


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"must be readable, but .*gone is not: No such file"):
        scan(tmp_path / "gone")


@pytest.fixture
def no_root() -> Iterator[None]:
    """Take away root's right to read everything, if it is root who tests."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield
    if is_root:
        os.seteuid(0)


@pytest.mark.usefixtures("no_root")
def test_a_folder_without_permission_is_refused() -> None:
    with tempfile.TemporaryDirectory() as root:
        write(Path(root), "a/1.png", "b/1.png")
        (Path(root) / "b").chmod(0)
        with pytest.raises(SourceError, match=r"readable, but .*/b is not: Permission .* Mend its"):
            scan(Path(root))
        (Path(root) / "b").chmod(0o700)


@given(st.lists(st.integers(0, 10**6), unique=True), st.text(alphabet="ab ", max_size=3))
def test_numbers_sort_by_value_behind_any_word(numbers: list[int], word: str) -> None:
    names = [f"{word}{number}" for number in numbers]
    assert sorted(names, key=natural) == [f"{word}{number}" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=6), unique=True))
def test_sorting_does_not_depend_on_the_order_before(names: list[str]) -> None:
    turned = names[::-1]
    assert sorted(names, key=natural) == sorted(turned, key=natural)


@given(st.binary(max_size=20))
def test_any_name_can_be_shown(name: bytes) -> None:
    assert printable(name).isprintable()


def test_a_name_is_printed_as_it_is_but_for_what_steers_a_terminal() -> None:
    spaces = "a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c\N{ZERO WIDTH JOINER}d"
    for name in (spaces, "cafe\N{COMBINING ACUTE ACCENT}", "猫"):
        assert shown(name) == name
    assert shown("a\tb\nc\x1b[31m\x85") == r"a\x09b\x0ac\x1b[31m\x85"
    assert shown("\u2028\u2029\u202a\u202e\u2066\u2069") == r"\u2028\u2029\u202a\u202e\u2066\u2069"
    assert shown("é\udcff") == r"é\xff"


@given(st.text(max_size=10))
def test_what_is_printed_steers_no_terminal(name: str) -> None:
    kinds = {unicodedata.category(c) for c in shown(os.fsdecode(name.encode("utf-8", "replace")))}
    assert not kinds & {"Cc", "Zl", "Zp"}


@given(st.text(max_size=10))
def test_both_spellings_of_a_letter_are_one_class(name: str) -> None:
    assert printable("é".encode()) == printable("e\N{COMBINING ACUTE ACCENT}".encode())
    for text in (name, f"\n\N{COMBINING ACUTE ACCENT}{name}"):  # escaped, it ends in a letter
        assert printable(printable(text.encode()).encode()) == printable(text.encode())


def test_classes_of_any_script_are_found() -> None:
    found = read_layout("x", ["猫/1.png", "Кот/1.png", "class 10/1.png", "class 9/1.png"])
    assert set(found.classes) == {"猫", "Кот", "class 10", "class 9"}
    assert found.classes.index("class 9") < found.classes.index("class 10")
    assert found.classes[found.labels[0]] == "猫"


def test_a_class_may_be_named_like_a_part_beside_others() -> None:
    assert read_layout("x", ["train/1.png", "car/1.png"]).classes == ("car", "train")
    views = ["train/front/1.png", "train/side/1.png", "car/front/1.png", "car/inside/1.png"]
    assert read_layout("x", views).classes == ("car", "train")


def test_a_part_beside_a_folder_of_the_same_classes_is_refused() -> None:
    names = [f"{part}/{label}/1.png" for part in ("train", "dev") for label in ("cat", "dog")]
    with pytest.raises(SourceError, match=r"beside parts \(train\) there is dev\. .* name it as"):
        read_layout("x", names)


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".dib", ".apng", ".jpg"])
def test_an_image_may_have_a_rare_ending(suffix: str) -> None:
    assert passed_over(f"cat/1{suffix}") is None
    assert passed_over(f"cat/.1{suffix}") == "hidden file"
    assert passed_over(f"cat/1{suffix}.heic") == "image of a format that is not read"
    assert passed_over(f"cat/1{suffix}.txt") == "file of another kind"


def test_how_a_file_begins_is_read_if_it_can_be(tmp_path: Path) -> None:
    write(tmp_path, "a/1")
    os.mkfifo(tmp_path / "pipe")
    assert first_bytes(os.fsencode(tmp_path / "a" / "1")) == b"x"
    assert first_bytes(os.fsencode(tmp_path / "pipe")) == b""
    assert first_bytes(os.fsencode(tmp_path / "gone")) == b""
