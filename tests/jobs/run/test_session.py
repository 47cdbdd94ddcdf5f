"""Tests of `tunesmith.jobs.run.session`; test_fit.py runs whole jobs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tunesmith.jobs.run.session import Session
from tunesmith.records.journal import read_history

SessionIn = Callable[..., AbstractContextManager[Session]]


def test_what_an_earlier_session_noted_is_noted_once_and_said_again(
    session_in: SessionIn, tmp_path: Path
) -> None:
    for _ in range(2):
        with session_in(tmp_path) as session, session.terminal:
            session.note("It is small.")
            session.note("It is gray.")
            session.note("It is small.")
    assert read_history(tmp_path).notes == ("It is small.", "It is gray.")
    assert (tmp_path / "run.log").read_text("utf-8").count("It is small.") == 4
