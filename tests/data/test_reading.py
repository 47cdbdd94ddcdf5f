"""Tests of `tunesmith.data.reading`."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunesmith.data import reading
from tunesmith.data.folders import scan, stamp_of
from tunesmith.data.reading import CHANGED, Pieces, read_listed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "1.png").write_bytes(b"content")
    (tmp_path / "2.png").write_bytes(b"another")
    return tmp_path / "1.png"


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("2.png")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_what_did_not_change_is_read(path: Path) -> None:
    assert read_listed(path, *scan(path.parent).stamps[:1]) == b"content"
    assert read_listed(os.fsencode(path), stamp_of(path.stat()), follow=True) == b"content"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(b"content and more"), CHANGED),
        (lambda path: path.write_bytes(b""), CHANGED),
        (lambda path: os.utime(path, ns=(0, 0)), CHANGED),
        (Path.unlink, "No such file or directory"),
        (folder, "Is a directory"),
        (link, CHANGED),
        (link_to_itself, CHANGED),
        (pipe, "it is no regular file"),
    ],
)
def test_what_became_of_a_file_is_said(
    path: Path, change: Callable[[Path], None], reason: str
) -> None:
    stamp = stamp_of(path.stat())
    change(path)
    with pytest.raises(OSError, match=reason):
        read_listed(path, stamp)


def test_a_device_is_not_read() -> None:
    with pytest.raises(OSError, match="it is no regular file"):
        read_listed("/dev/zero", "0,0", follow=True)


def test_a_link_is_followed_only_where_it_may_be(path: Path) -> None:
    link(path)
    assert read_listed(path, stamp_of(path.stat()), follow=True) == b"another"
    link_to_itself(path)
    with pytest.raises(OSError, match="symbolic links"):
        read_listed(path, "", follow=True)


def test_a_file_that_changes_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = stamp_of(path.stat())

    def measure(found: os.stat_result) -> str:
        with path.open("ab") as file:  # another process appends just then
            file.write(b" and more")
        return stamp_of(found)

    monkeypatch.setattr(reading, "stamp_of", measure)
    with pytest.raises(OSError, match=CHANGED):
        read_listed(path, stamp)


def test_a_file_larger_than_any_image_is_not_read(path: Path) -> None:
    os.truncate(path, 100_000_001)  # a sparse file takes no room
    with pytest.raises(OSError, match=r"it has 100,000,001 bytes, more than 100,000,000"):
        read_listed(path, stamp_of(path.stat()))


@pytest.mark.parametrize("has_pread", [True, False])
def test_threads_read_pieces_of_a_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pread: bool
) -> None:
    if not has_pread:
        monkeypatch.delattr(os, "pread")
    content = os.urandom(10_000)
    (tmp_path / "x").write_bytes(content)
    with (tmp_path / "x").open("rb") as file:
        pieces = Pieces(file)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda begin: pieces.read(begin, 100), range(0, 10_000, 100)))
    assert b"".join(found) == content
    assert pieces.read(9_990, 100) == content[-10:]


def test_pieces_of_a_file_that_changes_are_not_read(path: Path) -> None:
    with path.open("rb") as file:
        pieces = Pieces(file)
    assert pieces.read(3, 4) == b"tent"
    os.truncate(path, 5)
    with pytest.raises(OSError, match=CHANGED):
        pieces.read(3, 4)


def test_a_file_read_in_pieces_is_closed_in_the_end(path: Path) -> None:
    with path.open("rb") as file:
        pieces = Pieces(file)
    descriptor = pieces._descriptor
    del pieces
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
