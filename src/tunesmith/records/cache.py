"""A cache of computed values, keyed by a hash of their inputs.

One SQLite file with a row for each value. The cache only saves time: values with a wrong checksum
are ignored, and if the file cannot be used, everything is recomputed.
"""

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self, final

from numpy.typing import NDArray

FILE = "cache.db"
APPLICATION = 0x74756E65  # SQLite's application ID of our files
VERSION = 1
DIGEST = 16  # bytes of a BLAKE2b hash (RFC 7693): 10^9 of them collide with probability 10^-21
LOG_PAGES = 100_000  # of 4 kB, that are written before they are moved to where they belong
PATIENCE = 5.0  # seconds that another process may lock the file
UNUSED = 3  # consecutive finished jobs that did not use a value, before it is removed
SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS used (key BLOB PRIMARY KEY, turn INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (turn INTEGER PRIMARY KEY);
"""


def key_of(recipe: str, *contents: bytes | NDArray[Any]) -> bytes:
    """Key of a computed value: a hash of the recipe and of its input contents.

    Args:
        recipe: What is computed, by which program, and with which settings.
        contents: Bytes or contiguous arrays.

    Example:
        >>> key_of("size", b"ab", b"c") == key_of("size", b"a", b"bc")
        False

    """
    digest = hashlib.blake2b(digest_size=DIGEST)
    for content in (recipe.encode(), *contents):
        view = memoryview(content) if isinstance(content, bytes) else content.data
        digest.update(view.nbytes.to_bytes(8, "little"))
        digest.update(view)
    return digest.digest()


def _checksum(key: bytes, value: bytes) -> bytes:
    """CRC-32 of a row, which misses one in 2**32 damaged ones.

    A hash takes several times as long, and is no better against forgery: whoever changes a value
    can change its hash as well.
    """
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(4)


def _connect(path: Path) -> sqlite3.Connection:
    """Open or create a cache file.

    Raises:
        sqlite3.Error: The file is damaged, locked, or from another program or version.
    """
    with ExitStack() as opened:
        database = sqlite3.connect(
            path, timeout=PATIENCE, check_same_thread=False, isolation_level=None
        )
        opened.callback(database.close)
        (found,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and (found, version) != (APPLICATION, VERSION):
            raise sqlite3.DatabaseError("another program, or another version, wrote it")
        # After a power cut some of the last values may be missing, but the file is whole.
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        # Else each thousand pages wait for the disk, and all threads for them.
        database.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        database.execute(f"PRAGMA application_id={APPLICATION}")
        database.execute(f"PRAGMA user_version={VERSION}")
        database.executescript(SCHEMA)
        opened.pop_all()
    return database


@final
class Cache:
    """An open, thread-safe cache.

    Args:
        path: SQLite file; None caches in memory only.

    Attributes:
        trouble: Why the file is no longer used, or "".
        found: Number of cache hits.
        was_empty: Whether there were no values when the file was opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.trouble, self.found, self.was_empty = "", 0, True
        self._guard = threading.Lock()
        self._opened = ExitStack()
        self._turn = 0
        with self._careful():
            self._database = self._opened.enter_context(closing(_connect(path or Path(":memory:"))))
            self._turn, has_values = self._database.execute(
                "SELECT (SELECT count(*) FROM turns), EXISTS (SELECT 1 FROM kept)"
            ).fetchone()
            self.was_empty = not has_values

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Stop using the file at the first error of SQLite."""
        try:
            yield
        except sqlite3.Error as error:
            self.trouble = self.trouble or str(error)
            self._opened.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Run a block as one transaction, one thread at a time."""
        with self._guard, self._careful():
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored, undamaged values, by key."""
        found = {}
        if not self.trouble:
            with self._changing():
                for key in keys:
                    row = self._database.execute(
                        "SELECT value, digest FROM kept WHERE key = ?", (key,)
                    ).fetchone()
                    if row and isinstance(row[0], bytes) and _checksum(key, row[0]) == row[1]:
                        found[key] = row[0]
                self._use(found)
                self.found += len(found)
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Store values; once this returns, they survive a crash of the process."""
        rows = [(key, value, _checksum(key, value)) for key, value in values.items()]
        if not self.trouble:
            with self._changing():
                self._database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
                self._use(values)

    def once(
        self, recipe: str, contents: Iterable[bytes | NDArray[Any]], compute: Callable[[], Any]
    ) -> Any:
        """Return the JSON value of ``compute()``, cached by recipe and contents."""
        key = key_of(recipe, *contents)
        kept = self.get([key]).get(key)
        if kept is None:
            kept = json.dumps(compute()).encode()
            self.put({key: kept})
        return json.loads(kept)

    def _use(self, keys: Iterable[bytes]) -> None:
        rows = ((key, self._turn) for key in keys)
        self._database.executemany("INSERT OR REPLACE INTO used VALUES (?, ?)", rows)

    def finish(self) -> None:
        """Mark a job as finished, and remove values that the last few jobs did not use."""
        if not self.trouble:
            with self._changing():
                oldest = self._turn - UNUSED + 1
                self._database.execute("DELETE FROM used WHERE turn < ?", (oldest,))
                self._database.execute("DELETE FROM kept WHERE key NOT IN (SELECT key FROM used)")
                self._database.execute("INSERT INTO turns VALUES (NULL)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._careful():
            self._opened.close()
