"""Tests of `tunesmith.records.editable`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.records import editable
from tunesmith.records.editable import refuse_edited, write_editable
from tunesmith.records.folder import write_atomic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def test_what_was_written_may_be_written_again(path: Path) -> None:
    refuse_edited(path)
    for content in ("one\n", "two\n", "two\n", "ünï\n"):
        write_editable(path, content)
        refuse_edited(path)
        assert path.read_text("utf-8") == content
    path.unlink()
    write_editable(path, "three\n")
    assert sorted(p.name for p in path.parent.iterdir()) == [".list.csv.sha256", "list.csv"]


def rewrite(path: Path) -> None:
    write_editable(path, "four\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("two, but one row less\n"),
        lambda path: path.write_text("one\n"),  # written once, but not last
        lambda path: path.write_text(""),
        lambda path: path.with_name(".list.csv.sha256").unlink(),
        lambda path: path.with_name(".list.csv.sha256").write_bytes(b"\xff"),
    ],
    ids=["edited", "older", "emptied", "memory gone", "memory damaged"],
)
def test_what_was_edited_is_left_alone(path: Path, change: Callable[[Path], None]) -> None:
    for content in ("one\n", "two\n", "three\n"):
        write_editable(path, content)
    change(path)
    edited = path.read_bytes()
    for write in (refuse_edited, rewrite):
        with pytest.raises(RunFolderError, match=r"list\.csv was edited .*--quarantine.*--out"):
            write(path)
    assert path.read_bytes() == edited
    path.rename(path.with_name("mine.csv"))
    rewrite(path)


def test_what_somebody_else_made_is_left_alone(path: Path) -> None:
    path.write_text("mine\n")
    with pytest.raises(RunFolderError, match="is somebody else's"):
        write_editable(path, "ours\n")
    assert path.read_text() == "mine\n"


def test_a_list_of_a_check_that_kept_no_hash_is_moved_aside(path: Path) -> None:
    path.write_text("as it was\n")
    path.with_name("check.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"list\.csv was edited"):
        write_editable(path, "ours\n")  # it came while the check ran
    refuse_edited(path)
    assert path.with_name("list.before.csv").read_text() == "as it was\n"
    write_editable(path, "ours\n")
    path.write_text("edited\n")
    with pytest.raises(RunFolderError, match=r"list\.csv was edited"):
        refuse_edited(path)
    path.with_name(".list.csv.sha256").unlink()
    with pytest.raises(RunFolderError, match=r"list\.csv was edited"):
        refuse_edited(path)  # nothing is moved over what was moved before
    assert path.with_name("list.before.csv").read_text() == "as it was\n"
    assert path.read_text() == "edited\n"


class Killed(BaseException):
    """The process is ended."""


@pytest.mark.parametrize("writes", [1, 2])  # up to the memory; all but the call's end
def test_a_kill_at_any_moment_makes_nothing_look_edited(
    path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    write_editable(path, "0\n")
    for number in range(1, 5):  # again and again
        left = [writes]

        def write(target: Path, content: bytes | str, left: list[int] = left) -> None:
            write_atomic(target, content)
            left[0] -= 1
            if not left[0]:
                raise Killed

        monkeypatch.setattr(editable, "write_atomic", write)
        with pytest.raises(Killed):
            write_editable(path, f"{number}\n")
        refuse_edited(path)
    assert path.read_text() == ("0\n" if writes == 1 else "4\n")
    monkeypatch.undo()
    write_editable(path, "5\n")


def test_a_folder_in_the_way_is_said(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RunFolderError, match=r"list\.csv cannot be written: Is a directory"):
        refuse_edited(path)
