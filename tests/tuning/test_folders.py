"""Tests of `tunesmith.tuning.folders`."""

import contextlib
import errno
import os
import resource
import shutil
import socket
from pathlib import Path

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.tuning import folders
from tunesmith.tuning.folders import (
    TrialFolderError,
    at_unit,
    closed,
    explain,
    is_empty,
    opened,
    size,
    tidy,
    tidy_trial,
)


def test_a_slice_begins_with_what_the_one_before_left(tmp_path: Path) -> None:
    part = opened(tmp_path, 3, start=0, until=4)
    assert is_empty(part)
    (part / "state").write_text("four")
    assert not is_empty(part)
    assert closed(part) == at_unit(tmp_path, 3, 4)
    part = opened(tmp_path, 3, start=4, until=8)
    assert (part / "state").read_text() == "four"
    (part / "state").write_text("eight")
    assert (at_unit(tmp_path, 3, 4) / "state").read_text() == "four"


def test_a_slice_that_died_leaves_nothing_behind(tmp_path: Path) -> None:
    (opened(tmp_path, 0, start=0, until=4) / "half").touch()
    assert is_empty(opened(tmp_path, 0, start=0, until=4))
    closed(opened(tmp_path, 0, start=0, until=4))
    (opened(tmp_path, 0, start=0, until=4) / "again").touch()
    assert not is_empty(closed(tmp_path / "0000" / "00000004.part"))


def test_what_is_closed_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []  # files, and whether the folder had its name by then
    whole, sync = at_unit(tmp_path, 0, 4), os.fsync

    def record(file: int) -> None:
        synced.append((os.fstat(file).st_ino, whole.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", record)
    part = opened(tmp_path, 0, start=0, until=4)
    (part / "deep").mkdir()
    for name in ("state", "deep/state"):
        (part / name).write_text("four")
    (part / "link").symlink_to(tmp_path)
    os.mkfifo(part / "pipe")
    closed(part)
    inside = [whole, whole / "deep", whole / "state", whole / "deep" / "state"]
    assert set(synced[:-1]) == {(path.stat().st_ino, False) for path in inside}
    assert synced[-1] == (whole.parent.stat().st_ino, True)


def test_what_no_trial_goes_on_from_is_removed(tmp_path: Path) -> None:
    for trial, at in ((0, 4), (0, 8), (1, 4)):
        closed(opened(tmp_path, trial, start=0, until=at))
    opened(tmp_path, 1, start=4, until=8)
    (tmp_path / "0001" / "error.txt").write_text("kept")
    tidy(tmp_path, {0: 8})
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("*/*")) == [
        "0000/00000008",
        "0001/error.txt",
    ]
    tidy_trial(tmp_path, 0, -1)
    assert list((tmp_path / "0000").iterdir()) == []


def test_links_stay_links_wherever_they_lead(tmp_path: Path) -> None:
    part = opened(tmp_path, 0, start=0, until=4)
    (part / "gone").symlink_to(tmp_path / "nowhere")
    (part / "data").symlink_to(tmp_path)
    closed(part)
    part = opened(tmp_path, 0, start=4, until=8)
    assert [path.is_symlink() for path in sorted(part.iterdir())] == [True, True]


def test_pipes_and_sockets_are_not_handed_on(tmp_path: Path) -> None:
    part = opened(tmp_path, 0, start=0, until=4)
    (part / "deep").mkdir()
    (part / "deep" / "state").write_text("four")
    os.mkfifo(part / "deep" / "pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server, contextlib.chdir(part):
        server.bind("socket")  # the whole path would be too long
    closed(part)
    part = opened(tmp_path, 0, start=4, until=8)
    assert sorted(path.name for path in part.rglob("*")) == ["deep", "state"]
    assert (part / "deep" / "state").read_text() == "four"


def test_a_disk_that_is_full_is_told_while_a_folder_is_copied(tmp_path: Path) -> None:
    (opened(tmp_path, 0, start=0, until=4) / "state").write_bytes(bytes(1000))
    closed(at_unit(tmp_path, 0, 4).with_suffix(".part"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as if the disk were full
    try:
        with pytest.raises(RunFolderError, match=r"no space left for .*\.part\. Free some"):
            opened(tmp_path, 0, start=4, until=8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_slice_that_removed_its_folder_left_an_empty_one(tmp_path: Path) -> None:
    part = opened(tmp_path, 0, start=0, until=4)
    shutil.rmtree(part.parent)
    tidy_trial(tmp_path, 0, -1)
    assert is_empty(closed(part))


def test_what_stands_where_a_folder_is_to_be_is_replaced(tmp_path: Path) -> None:
    place = at_unit(tmp_path, 0, 4)
    targets = [None, Path("nowhere"), Path()]
    for target in targets:
        part = opened(tmp_path, 0, start=0, until=4)
        (place.with_name("error.txt")).mkdir()
        place.symlink_to(target) if target else place.touch()
        assert closed(part).is_dir()
        assert not place.is_symlink()
        assert not place.with_name("error.txt").exists()
        place.rename(part)  # as if it had been left half done
        assert is_empty(opened(tmp_path, 0, start=0, until=4))


def test_where_a_trial_has_no_folder_its_error_is_beside_all_trials(tmp_path: Path) -> None:
    (tmp_path / "0003").touch()
    assert explain(tmp_path, 3, "It hung.") == tmp_path / "error.txt"
    assert (tmp_path / "error.txt").read_text() == "It hung."
    with pytest.raises(TrialFolderError, match=r"Not a directory: .*\. A slice must leave its"):
        opened(tmp_path, 3, start=0, until=4)


def test_links_that_lead_to_themselves_are_handed_on(tmp_path: Path) -> None:
    part = opened(tmp_path, 0, start=0, until=4)
    (part / "loop").symlink_to("loop")
    (part / "up").symlink_to("..")
    assert is_empty(part)
    closed(part)
    part = opened(tmp_path, 0, start=4, until=8)
    assert sorted(path.name for path in part.iterdir()) == ["loop", "up"]


def test_a_failing_disk_is_no_trial_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    part = opened(tmp_path, 0, start=0, until=4)
    monkeypatch.setattr(os, "fsync", fail)
    (part / "state").touch()
    with pytest.raises(RunFolderError, match="Input/output error") as caught:
        closed(part)
    assert not isinstance(caught.value, TrialFolderError)


def test_why_a_trial_failed_is_beside_its_folders(tmp_path: Path) -> None:
    assert explain(tmp_path, 3, "It hung.") == tmp_path / "0003" / "error.txt"
    error = explain(tmp_path, 3, "It hung again.")
    assert error.read_text() == "It hung again."
    closed(opened(tmp_path, 3, start=0, until=4))
    assert not error.exists()


def test_a_folder_is_as_large_as_all_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "inside" / "deep").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 100)
    (tmp_path / "inside" / "deep" / "two").write_bytes(b"x" * 20)
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "one")
    assert size(tmp_path) == 120 + len(str(tmp_path / "one"))  # a link is as large as what it says
    assert size(tmp_path / "none") == 0


def test_what_cannot_be_removed_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started by a slice may still write there while its folder is removed."""

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    for at in (4, 8):
        closed(opened(tmp_path, 0, start=0, until=at))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        tidy_trial(tmp_path, 0, 8)
    assert at_unit(tmp_path, 0, 4).is_dir()
    tidy_trial(tmp_path, 0, 8)
    assert not at_unit(tmp_path, 0, 4).exists()


def test_a_slice_does_not_begin_without_what_the_one_before_left(tmp_path: Path) -> None:
    closed(opened(tmp_path, 3, start=0, until=4))
    shutil.rmtree(tmp_path / "0003")
    with pytest.raises(TrialFolderError, match=r"is gone: there is no .*/0003/00000004 any more"):
        opened(tmp_path, 3, start=4, until=8)
    assert not (tmp_path / "0003").exists()


def test_a_copy_of_a_trial_is_left_alone(tmp_path: Path) -> None:
    copy = tmp_path / "0003_best" / "00000004"
    copy.mkdir(parents=True)
    closed(opened(tmp_path, 3, start=0, until=4))
    tidy(tmp_path, {})
    assert copy.is_dir()
    assert not at_unit(tmp_path, 3, 4).exists()


def test_a_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file", os.fsdecode(b"caf\xe9"))
    with pytest.raises(TrialFolderError) as told, folders._using(tmp_path):
        raise error
    assert r"caf\udce9" in explain(tmp_path, 0, str(told.value)).read_text("utf-8")
