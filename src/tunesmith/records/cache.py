"""What was computed before, kept by the hash of what it was computed from.

One SQLite file with a row for each value. It only ever saves time: nothing is believed that does
not bear its checksum, and where the file cannot be used everything is computed anew.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self, final

from numpy.typing import NDArray

FILE = "cache.db"
APPLICATION = 0x74756E65  # tells our files from those of other programs
VERSION = 1
DIGEST = 16  # bytes of a BLAKE2b hash (RFC 7693): odds of 10^-21 that two of 10^9 are the same
PATIENCE = 5.0  # seconds that another process may hold the file
UNUSED = 3  # finished jobs in a row that had no use for a value, before it is removed
SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS used (key BLOB PRIMARY KEY, turn INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (turn INTEGER PRIMARY KEY);
"""


def key_of(recipe: str, *contents: bytes | NDArray[Any]) -> bytes:
    """The name of what a recipe makes of some contents: a hash of all of them.

    Args:
        recipe: What is computed, by which program, and with which settings.
        contents: Bytes, or arrays whose values lie one behind the other.

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


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file of ours, or make one.

    Raises:
        sqlite3.Error: It is damaged, in use, or somebody else's.
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
        database.execute(f"PRAGMA application_id={APPLICATION}")
        database.execute(f"PRAGMA user_version={VERSION}")
        database.executescript(SCHEMA)
        opened.pop_all()
    return database


@final
class Cache:
    """An open cache, for many threads.

    Args:
        path: The file; None keeps nothing beyond this process.

    Attributes:
        trouble: Why the file is not used any more, or "".
        found: Values that were there when they were asked for.
    """

    def __init__(self, path: Path | None) -> None:
        self.trouble, self.found = "", 0
        self._guard = threading.Lock()
        self._opened = ExitStack()
        self._turn = 0
        with self._careful():
            self._database = self._opened.enter_context(closing(_connect(path or Path(":memory:"))))
            (turns,) = self._database.execute("SELECT count(*) FROM turns").fetchone()
            self._turn = turns

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Give up at the first thing that SQLite cannot do."""
        try:
            yield
        except sqlite3.Error as error:
            self.trouble = self.trouble or str(error)
            self._opened.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Do all of what follows or nothing, one thread after the other."""
        with self._guard, self._careful():
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there and whole, by their keys."""
        found = {}
        if not self.trouble:
            with self._changing():
                for key in keys:
                    row = self._database.execute(
                        "SELECT value, digest FROM kept WHERE key = ?", (key,)
                    ).fetchone()
                    if row and isinstance(row[0], bytes) and key_of("", key, row[0]) == row[1]:
                        found[key] = row[0]
                self._use(found)
                self.found += len(found)
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values: they are in the file when this returns, whatever ends the process then."""
        if not self.trouble:
            with self._changing():
                self._database.executemany(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)",
                    [(key, value, key_of("", key, value)) for key, value in values.items()],
                )
                self._use(values)

    def once(
        self, recipe: str, contents: Iterable[bytes | NDArray[Any]], compute: Callable[[], Any]
    ) -> Any:
        """What ``compute`` returns, in terms of JSON; the same contents are not computed again."""
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
        """End a job that is done: values are removed that the last few had no use for."""
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
