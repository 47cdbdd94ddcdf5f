"""Tests of `tunesmith.report.terminal`."""

import os
import re
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from tunesmith.report.terminal import Progress, Terminal, sparkline

# What a run does with its terminal, as a process of its own: log file, then settings.
SCRIPT = """
import sys
from pathlib import Path
from tunesmith.report.terminal import Progress, Terminal
row = dict(phase="training model", left_s=9, horizon=1000, images_per_s=900, loss=0.5)
settings = {name: True for name in sys.argv[2:]}
with Terminal(budget=10, log_path=Path(sys.argv[1]), **settings) as terminal:
    terminal.phase("train", 1)
    for n in range(200):
        terminal.row(Progress(**row, examples=n, best_score=0.5 if n else None))
    terminal.say("Memory ran out: 猫 [bold]")
    for n in range(2000):
        terminal.say("x" * 100)
terminal.close()
print("alive", file=sys.stderr)
"""


def run(
    log: Path | str, *settings: str, stdout: int, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(log), *settings],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | (environment or {}),
    )


def read_all(descriptor: int) -> str:
    """Read what is shown on a terminal until nobody writes to it any more."""
    parts = []
    try:
        while part := os.read(descriptor, 4096):
            parts.append(part)
    except OSError:  # Linux's word for the end
        pass
    return b"".join(parts).decode()


def progress(examples: int, best: float | None = None) -> Progress:
    return Progress(
        phase="training model",
        left_s=42,
        examples=examples,
        horizon=1000,
        images_per_s=2500,
        loss=0.5,
        best_score=best,
    )


def test_how_far_a_count_is_is_said_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter(range(1000))
    with Terminal(budget=60, log_path=tmp_path / "log", now=lambda: next(seconds)) as terminal:
        terminal.phase("decode", 0)
        for done in range(250, 2001, 250):
            terminal.count(done, 2000)
        terminal.phase("look for copies", 9)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["decode ...", "decode · 250 of 2,000"]
    assert 1 < sum(line.startswith("decode · ") for line in lines) < 8
    assert lines[-1] == "look for copies ..."


def test_without_a_terminal_there_are_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter(range(100))
    log = tmp_path / "run.log"
    with Terminal(budget=60, log_path=log, now=lambda: next(seconds)) as terminal:
        terminal.phase("train", 3)
        for n in range(12):
            terminal.row(progress(n * 10, 0.9))
        terminal.say("Memory ran out: the batch is now [256] images.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train ..."
    assert lines[1].startswith("training model · 0 % · 42.0 s left · 2,500 images/s · loss 0.500")
    assert lines[-1] == "Memory ran out: the batch is now [256] images."
    assert len(lines) == 5  # of 12 rows, a second apart, one in five seconds
    logged = log.read_text("utf-8").splitlines()
    assert len(logged) == 14  # the log has them all
    assert all(line.startswith("20") and "+00:00 " in line for line in logged)


def test_a_log_is_continued(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with Terminal(budget=60, log_path=tmp_path / "run.log", quiet=True) as terminal:
            terminal.say(text)
    logged = (tmp_path / "run.log").read_text("utf-8").splitlines()
    assert [line.rpartition(" ")[2] for line in logged] == ["first", "second"]


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(budget=60, log_path=tmp_path / "run.log", quiet=True) as terminal:
        terminal.phase("train", 0)
        terminal.row(progress(1))
        terminal.say("hello")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_standard_output_can_be_left_to_programs(tmp_path: Path) -> None:
    done = run(tmp_path / "run.log", "to_stderr", stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Memory ran out: 猫 [bold]" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("log", ["/dev/full", "/nowhere/run.log"])
def test_a_full_disk_ends_no_run(log: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = run(log, stdout=full.fileno())
    assert (done.returncode, done.stderr) == (0, "alive\n")


def test_a_closed_pipe_ends_no_run(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(tmp_path / "run.log", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "alive\n")
    assert len((tmp_path / "run.log").read_text("utf-8").splitlines()) == 2202


def test_a_closed_standard_output_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = (tmp_path / "out").open("w")
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        with Terminal(budget=60, log_path=tmp_path / "run.log") as terminal:
            terminal.phase("train", 0)
            terminal.say("hello")


def test_a_narrow_encoding_ends_no_run(tmp_path: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run(tmp_path / "log", stdout=subprocess.PIPE, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Memory ran out: ? [bold]" in done.stdout


def test_a_terminal_gets_a_live_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pty = pytest.importorskip("pty")
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "90"), ("LINES", "24")):
        monkeypatch.setenv(name, value)
    master, slave = pty.openpty()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_all, master)  # all the while: a full screen would block us
        with os.fdopen(slave, "w", encoding="utf-8") as screen:
            monkeypatch.setattr(sys, "stdout", screen)
            with Terminal(budget=60, log_path=tmp_path / "run.log") as terminal:
                terminal.phase("decode", 1)
                terminal.phase("train", 2)
                terminal.row(progress(500, 0.9912))
                terminal.say("Memory ran out.")
                terminal.say(f"{'x' * 86} from scratch")
                os.write(2, b"libpng error\n")
                assert terminal._live is not None
                terminal._live.refresh()
            monkeypatch.undo()
        seen = reading.result()
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    for expected in ("✓ decode", "training model", "left of 1 min", "best 99.12 %", "50 % trained"):
        assert expected in text
    assert "Memory ran out." in text
    assert "2,500 images/s" in text
    assert re.search(r"x{86} *\r?\n *from scratch", text), "lines break between words"
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
    assert "libpng error\n" in (tmp_path / "run.log").read_text("utf-8")


def test_an_overrun_is_told(tmp_path: Path) -> None:
    seconds = [0.0]
    with Terminal(budget=20, log_path=tmp_path / "log", now=lambda: seconds[0]) as terminal:
        terminal.phase("export", 0)
        for at, told in (
            (15.0, "5.0 s left of 20.0 s"),
            (23.0, "finishing, 3.0 s over the budget"),
        ):
            seconds[0] = at
            console = Console(width=100)
            with console.capture() as shown:
                console.print(terminal._display())
            assert told in shown.get()


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf")]])
def test_nothing_gives_an_empty_curve(values: list[float]) -> None:
    assert sparkline(deque(values)) == ""
