"""A process at work on a run, as the steps of a job are given one."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.settings import Settings
from tunesmith.jobs.run.session import Session
from tunesmith.records.journal import Journal
from tunesmith.report.terminal import Terminal


@pytest.fixture(scope="session")
def session_in() -> Callable[..., AbstractContextManager[Session]]:
    """Return what opens a folder for as long as a block lasts, with any settings."""

    @contextmanager
    def opened(
        folder: Path, *, now: Callable[[], float] = time.monotonic, **settings: Any
    ) -> Iterator[Session]:
        given = Settings.make(settings)
        with Journal(folder) as journal:
            yield Session(
                settings=given,
                folder=folder,
                clock=Clock(budget=given.budget, now=now),
                journal=journal,
                terminal=Terminal(budget=given.budget, log_path=folder / "run.log", quiet=True),
            )

    return opened


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system of its own, for faults that no mode bit makes for root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this system does not let root mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
