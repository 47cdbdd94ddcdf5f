"""Tests of `tunesmith.core.files`."""

import errno
import os
from pathlib import Path

import pytest

from tunesmith.core.files import LARGEST_FILE, expanded, open_plain, replace_file


def test_a_tilde_is_a_home_folder_if_there_is_one() -> None:
    assert expanded("~/photos") == Path.home() / "photos"
    assert expanded(Path("~nobody-has-this-name/x")) == Path("~nobody-has-this-name/x")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_opened_and_measured(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    paths: list[Path | bytes] = [tmp_path / "a", os.fsencode(tmp_path / "a")]
    for path in paths:
        with open_plain(path, follow=False) as (file, found):
            assert (file.read(), found.st_size) == (b"content", 7)
    assert file.closed


def test_a_link_is_followed_only_where_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    with open_plain(tmp_path / "link", follow=True) as (file, _):
        assert file.read() == b"content"
    with (
        pytest.raises(OSError, match="symbolic link") as caught,
        open_plain(tmp_path / "link", follow=False),
    ):
        pass
    assert caught.value.errno == errno.ELOOP


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with (
            pytest.raises(OSError, match="it is no regular file"),
            open_plain(tmp_path / name, follow=True),
        ):
            pass


def test_what_is_larger_than_any_image_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for size in (LARGEST_FILE, LARGEST_FILE + 1):
        os.truncate(tmp_path / "a", size)  # a sparse file takes no room
        if size == LARGEST_FILE:
            with open_plain(tmp_path / "a", follow=False) as (_, found):
                assert found.st_size == size
    with (
        pytest.raises(OSError, match=r"it has 100,000,001 bytes, more than 100,000,000"),
        open_plain(tmp_path / "a", follow=False),
    ):
        pass


def test_a_written_file_and_its_name_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, bool]] = []
    sync, path = os.fsync, tmp_path / "file"

    def record(file: int) -> None:
        synced.append((os.fstat(file).st_ino, path.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", record)
    replace_file(path, b"content")
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]
