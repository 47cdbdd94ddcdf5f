"""Tests of `tunesmith.tuning.unread`."""

import contextlib
import mmap
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.tuning.unread import MOST, _is_told, is_marked, mark, watching

pytestmark = pytest.mark.skipif(
    not _is_told(Path(tempfile.gettempdir())), reason="the disk does not tell when files are read"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a slice left."""
    (path := tmp_path / "part" / "deep").mkdir(parents=True)
    save_file({"w": torch.ones(3)}, path / "state")
    (path.parent / "empty").touch()
    return path.parent


def is_unread(folder: Path, slice_: Callable[[Path], object]) -> bool:
    with watching(folder) as found:
        assert found() or not list(folder.rglob("state"))
        slice_(folder)
        return found()


def maps(folder: Path) -> None:
    with (
        (folder / "deep" / "state").open("r+b") as file,
        contextlib.closing(mmap.mmap(file.fileno(), 0)) as m,
    ):
        assert m[:1]


READS: list[Callable[[Path], object]] = [
    lambda folder: (folder / "deep" / "state").read_bytes(),
    lambda folder: load_file(folder / "deep" / "state"),
    lambda folder: np.memmap(folder / "deep" / "state", mode="r")[0],
    lambda folder: subprocess.run(["cat", folder / "deep" / "state"], check=True),
    lambda folder: list((folder / "deep").iterdir()),
    lambda folder: (folder / "empty").read_text(),
    maps,
]
LEAVES: list[Callable[[Path], object]] = [
    lambda _: None,
    lambda folder: (folder / "deep" / "state").write_text("other"),
    lambda folder: (folder / "deep" / "state").unlink(),
    lambda folder: (folder / "new").write_text("new"),
    lambda folder: (folder / "new").read_text() if (folder / "new").write_text("new") else None,
    lambda folder: (folder / "deep" / "state").exists(),
    lambda folder: _written(folder).replace(folder / "deep" / "state"),
]


def _written(folder: Path) -> Path:
    path = folder / "state.part"
    path.write_text("other")
    return path


@pytest.mark.parametrize("slice_", READS)
def test_what_is_read_is_seen(slice_: Callable[[Path], object], folder: Path) -> None:
    assert not is_unread(folder, slice_)


@pytest.mark.parametrize("slice_", LEAVES)
def test_what_is_written_or_looked_for_is_not_read(
    slice_: Callable[[Path], object], folder: Path
) -> None:
    assert is_unread(folder, slice_)


def test_a_file_may_be_replaced_after_it_was_read(folder: Path) -> None:
    def replaces(folder: Path) -> None:
        text = (folder / "deep" / "state").read_bytes()
        _written(folder).write_bytes(text)
        (folder / "state.part").replace(folder / "deep" / "state")

    assert not is_unread(folder, replaces)


def test_of_what_cannot_be_watched_nothing_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says() -> bool:
        with watching(folder) as found:
            return found()

    assert says()
    monkeypatch.setattr("tunesmith.tuning.unread._read_at", lambda _: 0)  # as on some disks
    assert not says()
    monkeypatch.undo()
    (folder / "link").symlink_to("nowhere")
    assert not says()
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    assert not says()
    (folder / "pipe").unlink()
    for number in range(MOST):
        (folder / f"{number}").touch()
    assert not says()


def test_nothing_can_be_read_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    with watching(tmp_path / "part") as found:
        assert not found()
    (tmp_path / "part" / "empty").touch()
    with watching(tmp_path / "part") as found:
        assert not found()


def test_a_mark_lies_beside_and_is_taken_back(tmp_path: Path) -> None:
    for is_unread_ in (True, True, False, False):
        mark(tmp_path / "00000008.part", is_unread=is_unread_)
        assert is_marked(tmp_path / "00000008") == is_unread_
