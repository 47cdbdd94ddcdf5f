"""Tests of `tunesmith.report.streams`."""

import os

import pytest

from tunesmith.report.streams import CarefulStream, divert_stderr


def test_a_stream_is_given_up_once() -> None:
    stream = CarefulStream(None)
    assert stream.write("text") == 4
    stream.flush()
    assert not stream.isatty()
    with pytest.raises(OSError, match="no stream"):
        stream.fileno()


def test_standard_error_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    undo = divert_stderr(writer)
    os.write(2, b"there")
    undo()
    os.write(2, b"here")
    assert os.read(reader, 99) == b"there"
    assert capfd.readouterr().err == "here"
    os.close(reader)
    os.close(writer)
