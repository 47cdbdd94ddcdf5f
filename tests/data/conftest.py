"""Fixtures of the tests of `tunesmith.data`."""

import sys
from pathlib import Path

import pytest

# Python runs a module of this name in each process that it starts; the decoder's find it here.
SITE = """
import os, time
import numpy as np
from tunesmith.core import pixels

honest, spoiled = pixels.decode, False


def decode(encoded, channels=None, **options):
    global spoiled
    text = bytes(encoded[:20])
    if spoiled:
        os.abort()
    if text.startswith(b"signal "):
        os.kill(os.getpid(), int(text.split()[1]))
    if text == b"exit":
        os._exit(7)
    if text == b"error":
        raise RuntimeError
    if text == b"compute":
        while True:
            pass
    if text == b"wait":
        time.sleep(3600)
    if text == b"allocate":
        return np.ones((2000, 1000, 1000), np.uint8)
    if text == b"spoil":
        spoiled = True
        return np.zeros((1, 1, 1), np.uint8)
    return honest(encoded, channels, **options)


pixels.decode = decode
"""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have decoding processes do harm to themselves where a file's text says so."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
