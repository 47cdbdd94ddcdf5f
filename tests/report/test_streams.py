"""Tests of `tunesmith.report.streams`."""

import io
import os

import pytest

from tunesmith.report.streams import CarefulStream, divert_stderr, escape_unencodable


def test_a_stream_is_given_up_once() -> None:
    stream = CarefulStream(None)
    assert stream.write("text") == 4
    stream.flush()
    assert not stream.isatty()
    with pytest.raises(OSError, match="no stream"):
        stream.fileno()


def test_what_an_encoding_lacks_is_escaped() -> None:
    escape_unencodable(None)
    with io.TextIOWrapper(io.BytesIO(), "latin-1") as stream:
        escape_unencodable(stream)
        stream.write("café, 猫")
        stream.seek(0)
        assert stream.read() == "café, \\u732b"


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
