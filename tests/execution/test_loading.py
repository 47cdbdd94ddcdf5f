"""Tests of `tunesmith.execution.loading`."""

import signal
import threading
import time
from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import load_function
from tunesmith.execution.loading import importing, load_within

HANGS = "import time\ntime.sleep(600)\ndef train(): ...\n"
CATCHES = "import time\ntry:\n    time.sleep(600)\nexcept BaseException:\n    time.sleep(600)\n"


@pytest.mark.parametrize("code", [HANGS, CATCHES])
def test_an_import_that_hangs_is_ended(tmp_path: Path, code: str) -> None:
    script = tmp_path / "slow.py"
    script.write_text(code)
    before = signal.getsignal(signal.SIGALRM)
    with (
        pytest.raises(SettingsError, match=r"Importing slow must be over within 0\.2 s, but"),
        importing("slow", 0.2),
    ):
        load_function(f"{script}:train")
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    script.write_text("def train(): ...\n")  # no half of it is found later
    assert load_within(f"{script}:train", 60.0, quiet=True).__name__ == "train"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_import_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(HANGS)
    with (
        pytest.raises(SettingsError, match="Keep at the top of the file only what defines"),
        importing("slow.py", 1.0, quiet=quiet, notice_s=0.0),
    ):
        load_function(f"{script}:train")
    told = "Importing slow.py takes long; Ctrl-C ends it.\n"
    assert capsys.readouterr().err == ("" if quiet else told)


def test_nothing_is_told_of_a_short_one(capsys: pytest.CaptureFixture[str]) -> None:
    with importing("textwrap", 60.0):
        assert load_function("textwrap:shorten")("a  b", 9) == "a b"
    assert capsys.readouterr().err == ""


def test_other_threads_cannot_be_ended_but_import() -> None:
    found = []

    def load() -> None:
        with importing("textwrap", 1e-3):
            time.sleep(0.1)
            found.append(load_function("textwrap:shorten").__name__)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert found == ["shorten"]
