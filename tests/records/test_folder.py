"""Tests of `tunesmith.records.folder`; read-only and full disks are in `tests/jobs`."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.records import events
from tunesmith.records.events import Ended, Event, Planned, SessionStarted, SliceDone
from tunesmith.records.folder import (
    HANDED_OVER,
    IDENTITY,
    enter_run,
    let_differ,
    write_atomic,
    writing,
)
from tunesmith.records.history import History
from tunesmith.records.journal import Journal

TRAINED = SliceDone(trial="m", begin=0, end=16, seconds=1.0, checkpoint="c", rows=({},))


def is_resumed(path: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a folder is gone back to: where a run begins, its job is written anew."""
    job = path / IDENTITY
    before = job.stat().st_ino if job.exists() else None
    enter_run(path, identity).close()
    return job.stat().st_ino == before


def test_a_new_folder_and_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert not is_resumed(path, {"seed": 0, "data": "x"})
    assert is_resumed(path, {"data": "x", "seed": 0})


def test_what_a_process_left_that_was_killed_while_it_began_is_no_run(tmp_path: Path) -> None:
    (tmp_path / ".job.json.part").write_text('{"seed"')
    assert not is_resumed(tmp_path, {"seed": 0})
    assert is_resumed(tmp_path, {"seed": 0})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["job.json", "journal.db", "lock"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".notes.part").touch()
    with pytest.raises(RunFolderError, match=r"is not empty and holds no run \(it has \.notes"):
        enter_run(tmp_path / "other", {"seed": 0}).close()


def test_each_difference_is_named(tmp_path: Path) -> None:
    there = {"seed": 0, "data": "a" * 64, "old": True, "space": {"lr": "a" * 90 + "b", "drop": 1}}
    here = {
        "seed": 1,
        "data": "b" * 64,
        "old": True,
        "new": 2,
        "space": {"lr": "a" * 91, "drop": 1},
    }
    enter_run(tmp_path / "run", there).close()
    with Journal(tmp_path / "run") as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    with pytest.raises(RunFolderError) as caught:
        enter_run(tmp_path / "run", here).close()
    message = str(caught.value)
    assert "seed: 0 there, 1 here" in message
    assert "data: aaaaaaaaaaaa... there, bbbbbbbbbbbb... here" in message
    assert f'space.lr: "{"a" * 90}b" there, "{"a" * 91}" here' in message
    assert "drop" not in message
    assert "new: null there, 2 here" in message
    assert "old" not in message
    assert "--out" in message


def test_a_difference_may_be_told_in_words(tmp_path: Path) -> None:
    enter_run(tmp_path, {"code": "a", "seed": 0}).close()
    with Journal(tmp_path) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    with pytest.raises(
        RunFolderError, match=r"another job \(a.py was changed; seed: 0 there, 1 he"
    ):
        enter_run(tmp_path, {"code": "b", "seed": 1}, {"code": "a.py was changed"})


@pytest.mark.parametrize(("there", "here"), [("data", "function"), ("function", "data")])
def test_a_run_of_another_kind_is_told_as_that(there: str, here: str, tmp_path: Path) -> None:
    """What two kinds of jobs differ in, or how to undo a change, would be beside the point."""
    enter_run(tmp_path, {there: "a" * 64, "seed": 0}).close()
    enter_run(tmp_path, {here: "b" * 64, "seed": 0}).close()  # nothing was to lose
    with Journal(tmp_path) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    kinds = {"data": "fit", "function": "tune"}
    told = f"holds a {kinds[here]}, and this is a {kinds[there]}. Pass another --out."
    with pytest.raises(RunFolderError) as caught:
        enter_run(tmp_path, {there: "a" * 64, "seed": 1}, {"function": "train.py was changed"})
    assert str(caught.value) == f"{tmp_path} {told}"


@pytest.mark.parametrize("starts_over", [False, True])
def test_a_run_that_was_stopped_may_differ_once(*, starts_over: bool, tmp_path: Path) -> None:
    with enter_run(tmp_path, {"code": "a", "seed": 0}) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
        let_differ(tmp_path, ["code"], starts_over=starts_over)
    with pytest.raises(RunFolderError, match=r"\(seed: 0 there, 1 here\)"):  # nothing else may
        enter_run(tmp_path, {"code": "b", "seed": 1})
    with enter_run(tmp_path, {"code": "b", "seed": 0}) as journal:
        assert bool(journal.history.trials) is not starts_over
        journal.append(TRAINED, elapsed=1.0, phases={})
    with pytest.raises(RunFolderError, match="code"):
        enter_run(tmp_path, {"code": "c", "seed": 0})


def test_a_run_that_was_stopped_and_does_not_differ_goes_on(tmp_path: Path) -> None:
    with enter_run(tmp_path, {"code": "a"}) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
        let_differ(tmp_path, ["code"], starts_over=True)
    with enter_run(tmp_path, {"code": "a"}) as journal:
        assert journal.history.trials
    with pytest.raises(RunFolderError, match="code"):
        enter_run(tmp_path, {"code": "b"})


def test_a_run_that_never_had_a_plan_is_taken_over(tmp_path: Path) -> None:
    """The settings were wrong; the mended command must not be refused for them."""
    enter_run(tmp_path, {"width": 9999}).close()
    with Journal(tmp_path) as journal:
        journal.append(SessionStarted(budget=60), elapsed=3.0, phases={})
        journal.append(Planned(plan={}), elapsed=3.0, phases={})
    assert not is_resumed(tmp_path, {"width": 16})
    with Journal(tmp_path) as journal:
        assert journal.history == History()
    assert is_resumed(tmp_path, {"width": 16})


@pytest.mark.parametrize("event", [Ended(status="finished", reason="time"), events.TestOpened()])
def test_a_model_that_needed_no_training_is_not_overwritten(tmp_path: Path, event: Event) -> None:
    """A pretrained network of which only the head was fitted has no slice in the journal."""
    enter_run(tmp_path, {"data": "a"}).close()
    with Journal(tmp_path) as journal:
        journal.append(event, elapsed=1.0, phases={})
    with pytest.raises(RunFolderError, match=r'belongs to another job \(data: "a" there, "b" here'):
        enter_run(tmp_path, {"data": "b"})
    assert is_resumed(tmp_path, {"data": "a"})


@pytest.mark.parametrize("name", HANDED_OVER)
def test_what_a_run_handed_over_is_not_overwritten(tmp_path: Path, name: str) -> None:
    enter_run(tmp_path, {"data": "a"}).close()
    (tmp_path / name).mkdir()
    with pytest.raises(RunFolderError, match="belongs to another job"):
        enter_run(tmp_path, {"data": "b"})
    assert is_resumed(tmp_path, {"data": "a"})


def test_a_run_that_another_process_begins_is_not_taken_over(tmp_path: Path) -> None:
    enter_run(tmp_path, {"seed": 0}).close()
    with Journal(tmp_path), pytest.raises(RunFolderError, match="Another process"):
        enter_run(tmp_path, {"seed": 1}).close()


def test_a_run_that_a_process_is_in_stays_what_it_is(tmp_path: Path) -> None:
    with enter_run(tmp_path, {"seed": 0}) as journal:
        before = (tmp_path / "job.json").read_bytes()
        with pytest.raises(RunFolderError, match="Another process"):
            enter_run(tmp_path, {"seed": 1})
        assert (tmp_path / "job.json").read_bytes() == before
        journal.append(TRAINED, elapsed=1.0, phases={})
    with enter_run(tmp_path, {"seed": 0}) as journal:
        assert journal.history.trials["m"].slices == (TRAINED,)


def test_of_many_that_begin_at_the_same_moment_one_does(tmp_path: Path) -> None:
    def begin(seed: int) -> Journal | str:
        try:
            return enter_run(tmp_path / "run", {"seed": seed})
        except RunFolderError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(begin, range(8)))
    (first,) = [seed for seed, each in enumerate(found) if isinstance(each, Journal)]
    assert json.loads((tmp_path / "run" / "job.json").read_text())["seed"] == first
    for each in found:
        if isinstance(each, Journal):
            each.close()
        else:
            assert "Another process" in each


def test_a_folder_that_a_process_left_as_it_began_is_begun_anew(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass  # killed before it wrote what its job is
    assert not is_resumed(tmp_path, {"seed": 0})
    assert is_resumed(tmp_path, {"seed": 0})


def test_a_run_s_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "foreign" / "job.json").mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"foreign cannot be written: Is a directory\. Pass"):
        enter_run(tmp_path / "foreign", {"seed": 0}).close()
    enter_run(tmp_path / "run", {"seed": 0}).close()
    for damaged in ('{"seed"', "[1]", "[]", "null"):  # and it is given back each time
        (tmp_path / "run" / "job.json").write_text(damaged)
        with pytest.raises(RunFolderError, match=r"job\.json is damaged: .* Pass another --out"):
            enter_run(tmp_path / "run", {"seed": 0}).close()


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path) -> None:
    (tmp_path / "job.toml").touch()
    for path in (tmp_path / "job.toml", tmp_path / "job.toml" / "runs" / "digits"):
        with pytest.raises(RunFolderError) as caught:
            enter_run(path, {"seed": 0})
        told = f"{tmp_path / 'job.toml'} is a file, and a folder is needed. Pass another --out."
        assert str(caught.value) == told


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
    enter_run(out, {"seed": 0}).close()
    with Journal(out) as journal:
        journal.append(TRAINED, elapsed=1.0, phases={})
    job = json.loads((out / "job.json").read_text())
    assert job["format"] == 11
    (out / "job.json").write_text(json.dumps({**job, "format": 2}))
    with pytest.raises(RunFolderError, match="begun by another version of Tunesmith"):
        enter_run(out, {"seed": 0}).close()


def test_an_error_without_a_number_is_told_by_its_text(tmp_path: Path) -> None:
    told = r"cannot be written: it went away\. Pass an --out"
    with pytest.raises(RunFolderError, match=told), writing(tmp_path):
        raise OSError("it went away")
