"""Tests of `tunesmith.jobs.run.session`; test_fit.py runs whole jobs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from tunesmith.jobs.run.session import Session, computing
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


def test_settings_of_the_process_are_the_caller_s_again() -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with computing(before[0] + 1):
        torch.set_float32_matmul_precision("high")
        assert torch.get_num_threads() == before[0] + 1
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def test_a_precision_that_was_set_by_the_newer_interface_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mixed() -> str:
        raise RuntimeError("You have used a mix of the legacy and new APIs.")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", mixed)
    with computing(1):
        assert torch.get_num_threads() == 1
