"""Tests of `tunesmith.data.parquet`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.core.errors import InternalError, MissingExtraError, SourceError
from tunesmith.data import archives
from tunesmith.data import parquet as parquet_module
from tunesmith.data.parquet import header, rows
from tunesmith.data.processes import HAS_LIMITS

# Python runs a module of this name in each process that it starts.
SITE = """
import os, signal, time
from pyarrow import parquet


def hurry(timer):
    assert signal.getitimer(timer)[0] > 500  # it is in force: it would be over in minutes
    signal.setitimer(timer, 0.01)


def compute():
    hurry(signal.ITIMER_PROF)
    while True:
        pass


def wait():
    hurry(signal.ITIMER_REAL)
    time.sleep(3600)


class Harmed(parquet.ParquetFile):
    def __init__(self, *args, **options):
        if {early}:
            {harm}
        super().__init__(*args, **options)

    def iter_batches(self, *args, **options):
        for batch in super().iter_batches(*args, **options):
            yield batch
            {harm}


parquet.ParquetFile = Harmed
"""


def write(path: Path, columns: dict[str, object]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def do_harm(harm: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, early: bool) -> None:
    """Have a process do harm to itself when it opens a file, or after it has read some rows."""
    (folder / "sitecustomize.py").write_text(SITE.format(harm=harm, early=early))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return a list to which each process that is started is added."""
    found: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def recorded(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(start(*args, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)
    return found


def test_the_columns_that_have_a_use_are_read(tmp_path: Path) -> None:
    columns = {"id": [1, 2], "path": ["a.png", None], "label": [" x ", "y"], "box": [[1], [2]]}
    path = write(tmp_path / "x.parquet", columns)
    assert header(path) == ["id", "path", "label", "box"]
    assert list(rows(path, {"label": 2, "path": 1})) == [
        (1, {"label": "x", "path": "a.png"}),
        (2, {"label": "y", "path": ""}),
    ]


@pytest.mark.parametrize("end", [0, 4, 100, -10])
def test_a_damaged_file_is_told(tmp_path: Path, end: int) -> None:
    path = write(tmp_path / "x.parquet", {"path": ["a.png"] * 100, "label": ["x"] * 100})
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(SourceError, match=r"cannot be read as a Parquet table: .*fetch it again"):
        header(path)


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"path": [f"{i}.png" for i in range(999)]})
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 2000 + path.read_bytes()[2004:])
    with pytest.raises(SourceError, match="cannot be read as a Parquet table"):
        list(rows(path, {"path": 0}))


def test_without_its_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError(name='pyarrow')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(MissingExtraError, match=r'pip install "\.\[parquet\]"'):
        header(tmp_path / "x.parquet")


@pytest.mark.parametrize("has_limits", [True, False])
def test_rows_are_numbered_over_all_pieces(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[subprocess.Popen[bytes]],
    *,
    has_limits: bool,
) -> None:
    monkeypatch.setattr(parquet_module, "HAS_LIMITS", HAS_LIMITS and has_limits)
    images = [bytes([0x80 + i % 128]) * i * 10 for i in range(1, 1050)]
    table = pa.table({"label": [str(i) for i in range(1, 1050)], "image": images})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=333)
    found = list(rows(tmp_path / "x.parquet", {"path": 1, "label": 0}))
    expected = enumerate(images, start=1)
    assert found == [(i, {"path": image, "label": str(i)}) for i, image in expected]
    assert len(started) == has_limits


def test_a_table_that_does_not_fit_into_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [str(i) * 1000 for i in range(1000)]
    path = write(tmp_path / "x.parquet", {"path": ["a.png"] * 1000, "more": more})
    memory = 2 * 1000 * (parquet_module.ROW + 100)
    monkeypatch.setattr(parquet_module, "_memory", lambda: memory)
    assert len(list(rows(path, {"path": 0}))) == 1000  # what is not read does not count
    monkeypatch.setattr(parquet_module, "_memory", lambda: memory // 2)
    monkeypatch.setattr(parquet_module, "HAS_LIMITS", False)
    monkeypatch.setattr(parquet_module, "batches", lambda *_: iter([None]))  # fails if it is used
    with pytest.raises(SourceError, match=r"half of the memory \(0\.3 MB\).* of 1,000 rows"):
        next(rows(path, {"path": 0}))


def test_a_bomb_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    path = write(tmp_path / "x.parquet", {"image": [b"x" * 1000] * 10_000})
    assert path.stat().st_size < 40_000
    with pytest.raises(SourceError, match=r"unpack to .* MB at most, but .* of 10,000 rows does n"):
        list(rows(path, {"path": 0}))


def test_a_cell_is_no_larger_than_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "LARGEST_FILE", 2)
    path = write(tmp_path / "x.parquet", {"image": [b"12", b"123"]})
    with pytest.raises(SourceError, match=r"A cell holds 2 bytes .* row 2 of .* has one of 3\. Le"):
        list(rows(path, {"path": 0}))


def test_a_reader_may_stop_and_its_process_ends(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    path = write(tmp_path / "x.parquet", {"image": [bytes([i]) * 100_000 for i in range(200)]})
    reader = rows(path, {"path": 0})
    assert next(reader) == (1, {"path": bytes(100_000)})
    assert started[0].poll() is None  # it waits until more is read
    del reader
    assert started[0].poll() is not None
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "limits", "reason"),
    [
        ("os.abort()", {}, r"it is damaged, and crashed the reader \(signal 6\)\. If it was cut o"),
        ("os.kill(os.getpid(), 11)", {}, r"crashed the reader \(signal 11\)"),
        ("os._exit(7)", {}, r"crashed the reader \(exit status 7\)"),
        ("raise KeyError", {}, r"crashed the reader \(exit status 1\)"),
        ("compute()", {"CPU_S": 600.0}, "a few rows of it take more than 600 s"),
        ("wait()", {"WALL_S": 900.0}, "a few rows of it take more than 900 s"),
        ("bytes(10**12)", {}, "half of the memory at most, but .* takes more"),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_a_file_that_ends_its_process_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
    limits: dict[str, float],
    reason: str,
    *,
    early: bool,
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(parquet_module, name, value)
    path = write(tmp_path / "x.parquet", {"path": [f"{i}.png" for i in range(300)]})
    do_harm(harm, tmp_path, monkeypatch, early=early)
    reader = rows(path, {"path": 0})
    for _ in range(0 if early else 100):
        next(reader)
    with pytest.raises(SourceError, match=reason):
        next(reader)


def test_a_dying_process_leaves_the_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "x.parquet", {"path": ["a.png"]})
    harm = "os.write(1, b'out'); os.write(2, b'terminate called'); os.abort()"
    do_harm(harm, tmp_path, monkeypatch, early=True)
    with pytest.raises(SourceError, match="crashed the reader"):
        header(path)
    assert capfd.readouterr() == ("", "")


def test_a_process_that_does_not_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parquet_module, "WORKER", "tunesmith.no_such_module")
    with pytest.raises(InternalError, match=r"one did not start \(exit status 1\).* python -m"):
        header(tmp_path / "x.parquet")
    assert "No module named tunesmith.no_such_module" in capfd.readouterr().err


def test_no_code_is_taken_from_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", {"path": ["a.png"]})
    for name in ("json", "numpy", "pyarrow", "tunesmith"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert header(path) == ["path"]
