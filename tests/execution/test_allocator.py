"""Tests of `tunesmith.execution.allocator`."""

import ctypes
import platform

import pytest

from tunesmith.execution.allocator import keep_freed_memory


def test_it_is_done_under_glibc() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert keep_freed_memory() is False
