"""The journal: every event of a run, in SQLite, committed in groups."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self, final

from tunesmith.core.errors import RunFolderError
from tunesmith.records.events import Event, Stored, decode, encode
from tunesmith.records.history import History, fold, replay

VERSION = 1
GROUP_S = 0.1  # seconds after which an event is on disk, at most
FILE = "journal.db"
LOCK = "lock"
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    elapsed REAL NOT NULL,
    phases TEXT NOT NULL
)"""


def _lock(folder: Path) -> IO[str]:
    """Lock the folder for this process; the system releases the lock when the process ends.

    Raises:
        RunFolderError: Another process holds the lock, or the folder cannot be written or locked.
    """
    try:
        file = (folder / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise RunFolderError(
            f"{folder} cannot be written: {error.strerror}. Pass an --out that you may write to."
        ) from None
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # on Windows, nothing keeps a second process out
        return file
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise RunFolderError(
            f"Another process (number {owner}) is working in {folder}. Wait for it, or pass "
            "another --out."
        ) from None
    except OSError as error:  # some network file systems have no locks
        file.close()
        raise RunFolderError(
            f"{folder} must be locked, so that no other process writes to it meanwhile, but its "
            f"file system refuses that: {error.strerror}. Pass an --out on a local disk."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into a message that says how to fix them."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise RunFolderError(
                f"There is no space left for {path}. Free some, then run the same command again: "
                "it goes on where it was."
            ) from None
        raise RunFolderError(
            f"{path} cannot be used: {error}. If it is damaged, pass another --out."
        ) from None


def _connect(path: Path) -> sqlite3.Connection:
    with _told(path):
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    with ExitStack() as opened, _told(path):
        opened.callback(database.close)
        database.execute("PRAGMA journal_mode=WAL")
        # Each commit is synced to disk, so that committed events survive a power cut.
        database.execute("PRAGMA synchronous=FULL")
        _check_version(database, path)
        database.execute(SCHEMA)
        database.execute(f"PRAGMA user_version={VERSION}")
        opened.pop_all()
    return database


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise RunFolderError(
            f"{path} has version {version}, but this Tunesmith knows {VERSION}: a newer one wrote "
            "it. Update, or pass another --out."
        )


def _events(database: sqlite3.Connection) -> Iterator[Stored]:
    rows = database.execute("SELECT kind, content, elapsed, phases FROM events ORDER BY number")
    for kind, content, elapsed, phases in rows:
        yield Stored(event=decode(kind, content), elapsed=elapsed, phases=json.loads(phases))


@final
class Journal:
    """An open journal; this process is its only writer.

    Args:
        folder: The run's folder.

    Raises:
        RunFolderError: Another process uses the folder, or the file is damaged or too new.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        with ExitStack() as opened:  # releases everything if the journal cannot be used
            opened.enter_context(_lock(folder))
            self._database = opened.enter_context(closing(_connect(self._path)))
            with _told(self._path):
                self.history: History = replay(_events(self._database))
            self._opened = opened.pop_all()
        self._waiting: list[tuple[str, str, float, str]] = []
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._error: RunFolderError | None = None
        self._flusher = threading.Thread(target=self._flush_often, daemon=True)
        self._flusher.start()

    def append(
        self, event: Event, *, elapsed: float, phases: Mapping[str, float] | None = None
    ) -> None:
        """Add an event. It is on disk within a tenth of a second, or after `flush`.

        Raises:
            RunFolderError: An earlier event could not be written.
        """
        kept = dict(phases or {})
        row = (*encode(event), elapsed, json.dumps(kept))
        self.history = fold(self.history, Stored(event=event, elapsed=elapsed, phases=kept))
        with self._guard:
            self._waiting.append(row)
        if self._error:
            raise self._error

    def flush(self) -> None:
        """Write all events to disk; those that cannot be written are tried again the next time.

        Raises:
            RunFolderError: The events cannot be written.
        """
        with self._guard:
            if not self._waiting:
                return
            with _told(self._path), self._database:  # it commits, or rolls back
                self._database.execute("BEGIN")
                self._database.executemany(
                    "INSERT INTO events (kind, content, elapsed, phases) VALUES (?, ?, ?, ?)",
                    self._waiting,
                )
            self._waiting.clear()

    def forget(self) -> None:
        """Remove all events.

        Raises:
            RunFolderError: The events cannot be removed.
        """
        with self._guard, _told(self._path):
            self._database.execute("DELETE FROM events")
            self._waiting.clear()
        self.history = History()

    def _flush_often(self) -> None:
        while not self._closing.wait(GROUP_S):
            try:
                self.flush()
            except RunFolderError as error:
                self._error = error
                return

    def close(self) -> None:
        """Write all events to disk and release the folder."""
        self._closing.set()
        self._flusher.join()
        try:
            self.flush()
        finally:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_history(folder: Path) -> History:
    """Read a run's history, even while another process writes it, or from a read-only disk.

    Raises:
        RunFolderError: The folder holds no run, or its journal cannot be read.
    """
    path = folder / FILE
    if not os.path.isfile(path):  # noqa: PTH113 (pathlib's raises where no one may enter)
        raise RunFolderError(f"{folder} holds no run (no {FILE}). Pass the --out of a fit or tune.")
    with _told(path):
        try:
            return _read(path, "mode=ro")
        except sqlite3.OperationalError:
            # SQLite creates files next to a closed journal, which fails on a read-only disk. An
            # immutable one needs none. If such a file is not empty, a process may be writing.
            beside = path.with_name(f"{FILE}-wal")
            if beside.exists() and beside.stat().st_size:
                raise
            return _read(path, "mode=ro&immutable=1")


def _read(path: Path, how: str) -> History:
    """Read a journal without becoming its writer; ``how`` is the query of SQLite's URI."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as database:
        _check_version(database, path)
        return replay(_events(database))
