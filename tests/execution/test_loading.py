"""Tests of `tunesmith.execution.loading`."""

import signal
import threading
from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.execution.loading import load_within

HANGS = "import time\ntime.sleep(600)\ndef train(): ...\n"
CATCHES = "import time\ntry:\n    time.sleep(600)\nexcept BaseException:\n    time.sleep(600)\n"


@pytest.mark.parametrize("code", [HANGS, CATCHES])
def test_an_import_that_hangs_is_ended(tmp_path: Path, code: str) -> None:
    script = tmp_path / "slow.py"
    script.write_text(code)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(
        SettingsError, match=r"Importing .*slow\.py must be over within 0\.2 s, but"
    ):
        load_within(f"{script}:train", 0.2)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    script.write_text("def train(): ...\n")  # no half of it is found later
    assert load_within(f"{script}:train", 60.0).__name__ == "train"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_import_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(HANGS)
    with pytest.raises(SettingsError, match="Keep at the top of the file only what defines"):
        load_within(f"{script}:train", 1.0, quiet=quiet, notice_s=0.0)
    told = f"Importing {script} takes long; Ctrl-C ends it.\n"
    assert capsys.readouterr().err == ("" if quiet else told)


def test_nothing_is_told_of_a_short_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_within("textwrap:shorten", 60.0)("a  b", 9) == "a b"
    assert capsys.readouterr().err == ""


def test_other_threads_cannot_be_ended_but_import(tmp_path: Path) -> None:
    script = tmp_path / "quick.py"
    script.write_text("def train(): ...\n")
    found = []
    thread = threading.Thread(
        target=lambda: found.append(load_within(f"{script}:train", 60.0).__name__)
    )
    thread.start()
    thread.join()
    assert found == ["train"]
