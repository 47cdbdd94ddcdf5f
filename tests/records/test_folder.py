"""Tests of `tunesmith.records.folder`; read-only and full disks are in `tests/jobs`."""

import json
from pathlib import Path

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.records.events import Planned, SessionStarted, SliceDone
from tunesmith.records.folder import open_run, write_atomic
from tunesmith.records.history import History
from tunesmith.records.journal import Journal

TRAINED = SliceDone(trial="m", begin=0, end=16, seconds=1.0, checkpoint="c", rows=({},))


def test_a_new_folder_and_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert not open_run(path, {"seed": 0, "data": "x"}).resumed
    assert open_run(path, {"data": "x", "seed": 0}).resumed


def test_what_a_process_left_that_was_killed_while_it_began_is_no_run(tmp_path: Path) -> None:
    (tmp_path / ".job.json.part").write_text('{"seed"')
    assert not open_run(tmp_path, {"seed": 0}).resumed
    assert open_run(tmp_path, {"seed": 0}).resumed
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".notes.part").touch()
    with pytest.raises(RunFolderError, match=r"is not empty and holds no run \(it has \.notes"):
        open_run(tmp_path / "other", {"seed": 0})


def test_each_difference_is_named(tmp_path: Path) -> None:
    open_run(tmp_path / "run", {"seed": 0, "data": "a" * 64, "old": True})
    with Journal(tmp_path / "run") as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    with pytest.raises(RunFolderError) as caught:
        open_run(tmp_path / "run", {"seed": 1, "data": "b" * 64, "old": True, "new": 2})
    message = str(caught.value)
    assert "seed: 0 there, 1 here" in message
    assert 'data: "aaaaaaaaaaaaaaaaaaa... there, "bbbbbbbbbbbbbbbbbbb... here' in message
    assert "new: null there, 2 here" in message
    assert "old" not in message
    assert "--out" in message


def test_a_run_that_never_had_a_plan_is_taken_over(tmp_path: Path) -> None:
    """The settings were wrong; the mended command must not be refused for them."""
    open_run(tmp_path, {"width": 9999})
    with Journal(tmp_path) as journal:
        journal.append(SessionStarted(budget=60), elapsed=3.0, phases={})
        journal.append(Planned(plan={}), elapsed=3.0, phases={})
    assert not open_run(tmp_path, {"width": 16}).resumed
    with Journal(tmp_path) as journal:
        assert journal.history == History()
    assert open_run(tmp_path, {"width": 16}).resumed


def test_a_run_that_another_process_begins_is_not_taken_over(tmp_path: Path) -> None:
    open_run(tmp_path, {"seed": 0})
    with Journal(tmp_path), pytest.raises(RunFolderError, match="Another process"):
        open_run(tmp_path, {"seed": 1})


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "text")
    write_atomic(tmp_path / "a", b"bytes")
    assert (tmp_path / "a").read_bytes() == b"bytes"
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "inside").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_atomic(tmp_path / "d", "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "d"]


def test_a_run_of_another_version_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out"
    open_run(out, {"seed": 0})
    with Journal(out) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    job = json.loads((out / "job.json").read_text())
    assert job["format"] == 3
    (out / "job.json").write_text(json.dumps({**job, "format": 2}))
    with pytest.raises(RunFolderError, match="begun by another version of Tunesmith"):
        open_run(out, {"seed": 0})
