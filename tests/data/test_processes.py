"""Tests of `tunesmith.data.processes`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.data import processes
from tunesmith.data.processes import exit_status, start


def test_modules_are_never_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tunesmith.py").write_text("print('mine')")
    (tmp_path / "json.py").write_text("print('mine')")
    monkeypatch.chdir(tmp_path)
    with start("json.tool", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate(b'{"a":1}')
    assert said.split() == [b"{", b'"a":', b"1", b"}"]


def test_a_process_that_does_not_exit_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.1)
    with start("json.tool", stdin=subprocess.PIPE) as deaf:  # waits for an input that never ends
        assert exit_status(deaf) == -signal.SIGKILL


def test_it_has_the_variables_that_are_given() -> None:
    with start("site", environment={"PYTHONNOUSERSITE": "1"}) as process:
        said, _ = process.communicate()
    assert b"ENABLE_USER_SITE: False" in said


def test_paths_that_are_no_text_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [*sys.path, tmp_path])
    with start("site") as process:
        said, _ = process.communicate()
    assert os.fsencode(tmp_path) not in said
