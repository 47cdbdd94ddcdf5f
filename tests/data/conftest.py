"""Fixtures of the tests of `tunesmith.data`."""

import sys
from pathlib import Path

import pytest

# Python runs a module of this name in each process that it starts; the decoder's find it here.
SITE = """
import os, signal, time
from pathlib import Path
import numpy as np
from tunesmith.core import pixels

honest, spoiled = pixels.decode, False


def hurry(timer):
    assert signal.getitimer(timer)[0] > 500  # it is in force: it would be over in minutes
    signal.setitimer(timer, 0.01)


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
        hurry(signal.ITIMER_PROF)
        while True:
            pass
    if text == b"wait":
        hurry(signal.ITIMER_REAL)
        time.sleep(3600)
    if text == b"meet":
        met = Path(__file__).with_name("met")
        if not met.exists():
            met.touch()
            time.sleep(3600)
        return np.zeros((1, 1, 1), np.uint8)
    if text == b"allocate":
        return np.ones((2000, 1000, 1000), np.uint8)
    if text == b"spoil":
        spoiled = True
        return np.zeros((1, 1, 1), np.uint8)
    return honest(encoded, channels, **options)


pixels.decode = decode
"""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have decoding processes do harm to themselves where a file's text says so.

    Returns:
        A folder, in which the first one that decodes the text ``meet`` leaves a file ``met``, and
        then waits to be killed.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder
