"""Tests of `tunesmith.records.journal`, with real faults."""

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.records.events import Noted, SessionStarted, SliceDone
from tunesmith.records.history import History
from tunesmith.records.journal import FILE, LOCK, Journal, _told, read_history

WRITER = """
import sys
from pathlib import Path
from tunesmith.records.events import SliceDone
from tunesmith.records.journal import Journal
journal = Journal(Path(sys.argv[1]))
for i in range(10**6):
    journal.append(SliceDone(trial="model", begin=i, end=i + 1, seconds=0.0, checkpoint="c",
                             rows=({"seen": i + 1.0},)), elapsed=float(i))
    if i % 50 == 0:
        journal.flush()
        print(i, flush=True)
"""


def note(text: str) -> Noted:
    return Noted(text=text)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(SessionStarted(budget=60), elapsed=1.0, phases={"start": 1.0})
        journal.append(note("καλημέρα"), elapsed=2.0, phases={"start": 1.0, "train": 1.0})
        live = journal.history
    assert read_history(tmp_path) == live
    with Journal(tmp_path) as journal:
        assert journal.history == live


def test_text_that_is_invalid_unicode_is_kept_as_it_is(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(note("caf\udce9.jpg"), elapsed=0.0)
        journal.append(note("after it"), elapsed=0.0)
        live = journal.history
    assert read_history(tmp_path) == live
    assert live.notes == ("caf\udce9.jpg", "after it")


def test_what_could_not_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.records.journal.GROUP_S", 60.0)  # nothing is written before
    with (
        Journal(tmp_path) as journal,
        contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other,
    ):
        other.execute("ALTER TABLE events RENAME TO hidden")
        journal.append(note("kept"), elapsed=0.0)
        for _ in range(2):
            with pytest.raises(RunFolderError, match="cannot be used: no such table: events"):
                journal.flush()
        other.execute("ALTER TABLE hidden RENAME TO events")
        journal.flush()
        assert read_history(tmp_path).notes == ("kept",)


def test_what_is_forgotten_never_happened(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(SessionStarted(budget=60), elapsed=9.0, phases={"start": 1.0})
        journal.flush()
        journal.append(note("not yet on disk"), elapsed=9.0)
        journal.forget()
        assert journal.history == History()
        journal.append(note("anew"), elapsed=2.0)
        live = journal.history
    assert (live.notes, live.elapsed) == (("anew",), 2.0)
    assert read_history(tmp_path) == live


def test_phases_are_summed_over_sessions(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path) as journal:
            journal.append(SessionStarted(budget=60), elapsed=1.0, phases={"train": 1.0})
            journal.append(note("x"), elapsed=5.0, phases={"train": 4.0})
    history = read_history(tmp_path)
    assert history.phases == {"train": 8.0}
    assert history.elapsed == 5.0


def test_events_reach_the_disk_without_being_asked(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(note("soon"), elapsed=0.0)
        for _ in range(6000):
            if read_history(tmp_path).notes:
                break
            time.sleep(0.05)
        assert read_history(tmp_path).notes == ("soon",)


def test_a_killed_writer_leaves_a_prefix_and_nothing_twice(tmp_path: Path) -> None:
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.kill()
        process.wait()
        process.stdout.close()
        with Journal(tmp_path) as journal:
            slices = journal.history.trials["model"].slices
            assert [s.begin for s in slices] == list(range(len(slices)))
            assert len(slices) > told
            assert read_history(tmp_path) == journal.history


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path):
        code = "import sys; from pathlib import Path; from tunesmith.records.journal import Journal"
        code += "; Journal(Path(sys.argv[1]))"
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True
        )
        assert "Another process (number " in done.stderr
    with Journal(tmp_path):
        pass


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: IO[str], _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunFolderError, match=r"must be locked, .*: No locks .* on a local disk\.$"):
        Journal(tmp_path)


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(RunFolderError, match=r"has version 99.* a newer one wrote it"):
        Journal(tmp_path)


def test_an_unknown_event_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(
            "INSERT INTO events (kind, content, elapsed, phases) VALUES ('mused', '{}', 0, '{}')"
        )
    database.close()
    with pytest.raises(RunFolderError, match="'mused' that this version does not know"):
        Journal(tmp_path)


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database at all, though it is long enough" * 30)
    with pytest.raises(RunFolderError, match="cannot be used: file is not a database"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(RunFolderError, match=r"cannot be written: Is a directory\. Pass an --out"):
        Journal(tmp_path)


def test_a_full_disk_is_told_by_the_number_of_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.records.journal.GROUP_S", 60.0)  # nothing is written before

    def fill() -> None:
        with Journal(tmp_path) as journal:
            journal._database.execute("PRAGMA max_page_count=1")  # no more than there are
            journal.append(note("x" * 100_000), elapsed=0.0)

    with pytest.raises(RunFolderError, match="no space left for"):
        fill()
    with pytest.raises(RunFolderError, match="used: no such table: full"), _told(tmp_path):
        raise sqlite3.OperationalError("no such table: full")


@pytest.mark.parametrize("name", ["50% #1?", "καλημέρα;x=1&y"])
def test_a_folder_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with Journal(tmp_path / name) as journal:
        journal.append(note("here"), elapsed=0.0)
    assert read_history(tmp_path / name).notes == ("here",)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_closed_journal_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(note("kept"), elapsed=0.0)
    # SQLite follows no link here, so it cannot make this file, as on a read-only disk.
    beside = tmp_path / f"{FILE}-wal"
    beside.symlink_to(tmp_path / "nowhere")
    assert read_history(tmp_path).notes == ("kept",)
    beside.unlink()
    beside.mkdir()  # where it holds something, a process may be writing
    with pytest.raises(RunFolderError, match="cannot be used"):
        read_history(tmp_path)


def test_no_journal(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no run"):
        read_history(tmp_path)


def test_slices_are_typed_alike_live_and_read(tmp_path: Path) -> None:
    done = SliceDone(
        trial="model", begin=0, end=5, seconds=1.0, checkpoint="c", rows=({"loss": 0.5},)
    )
    with Journal(tmp_path) as journal:
        journal.append(done, elapsed=0.0)
    assert read_history(tmp_path).trials["model"].slices == (done,)
