"""Read Parquet tables, including those that hold the images themselves, as Hugging Face's do.

Each file is parsed in a process of its own, with limits, so that a bad file can only end that
process. On Windows, which has no such limits, it is parsed in this process.
"""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, final

from tunesmith.core.errors import InternalError, MissingExtraError, SourceError, UserError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.core.words import megabytes
from tunesmith.data.archives import most_unpacked
from tunesmith.data.parquet_worker import Cell, Head, Row, batches, damaged, head, opened
from tunesmith.data.processes import HAS_LIMITS, exit_status, start

SUFFIX = ".parquet"
ROW = 500  # bytes that a row takes in memory in addition to its cells, at least
SHARE = 2  # a table may take this fraction of the memory: one half
MEMORY = 8_000_000_000  # bytes assumed if the system does not report its memory
WORKING_MEMORY = 1_000_000_000  # bytes that a process may take at any rate
CPU_S, WALL_S = 10.0, 300.0  # seconds that a process may take for a few rows
WORKER = "tunesmith.data.parquet_worker"
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # the others reserve more than they use
ERRORS: Mapping[str, type[UserError]] = {
    each.__name__: each for each in (SourceError, MissingExtraError)
}


def header(path: Path) -> list[str]:
    """Read the names of the columns.

    Raises:
        SourceError: The file is not a Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    with _reading(path, []) as (found, _):
        return found.names


def rows(path: Path, at: Mapping[str, int]) -> Iterator[tuple[int, dict[str, Cell]]]:
    """Read the columns that have a role, and no others.

    All of them stay in memory. They may take half of it, and decompress to as much as an archive.

    Args:
        path: File to read.
        at: Column indices by role.

    Yields:
        The number of each row, from 1, and its cells by role: text, the bytes of an image, or an
        empty string for a missing value.

    Raises:
        SourceError: The file is damaged, or too large.
    """
    number, taken = 0, 0
    with _reading(path, list(at.values())) as (found, content):
        room = _memory() // SHARE - ROW * found.rows
        if found.claimed > room:
            raise _giant(path, found.rows)
        room = min(room, most_unpacked(path))
        for number, row in enumerate(content, start=1):
            sizes = [len(cell) for cell in row]
            if max(sizes) > LARGEST_FILE:
                raise SourceError(
                    f"A cell holds {LARGEST_FILE:,} bytes at most, as a file does, but row "
                    f"{number} of {path} has one of {max(sizes):,}. Leave it out."
                )
            taken += sum(sizes)
            if taken > room:
                raise _giant(path, found.rows)
            yield number, dict(zip(at, row, strict=True))
    if number != found.rows:
        raise damaged(path, f"it promises {found.rows:,} rows, but holds {number:,}")


@contextmanager
def _reading(path: Path, places: Sequence[int]) -> Iterator[tuple[Head, Iterator[Row]]]:
    """Open a file: its head, and the rows of some columns."""
    if not HAS_LIMITS:
        with opened(path) as file:
            yield head(file, places), chain.from_iterable(batches(file, places))
        return
    process = _Process(path, places)
    try:
        yield process.head(), process.rows()
    except BaseException:
        process.kill()
        raise
    finally:
        process.end()


@final
class _Process:
    """A running process that parses a file.

    Raises:
        InternalError: The process did not start.
    """

    def __init__(self, path: Path, places: Sequence[int]) -> None:
        self._path = path
        memory = max(WORKING_MEMORY, _memory() // SHARE)
        arguments = path, memory, CPU_S, WALL_S, json.dumps(places)
        self._popen = start(WORKER, *arguments, environment=ENVIRONMENT)
        assert self._popen.stdout
        self._answers = self._popen.stdout
        if not self._answers.readline():
            raise InternalError(
                "A Parquet file is parsed in a process of its own, but this one did not start "
                f"(exit status {self.end()}). Its own words are above; they are also to be had by: "
                f"python -m {WORKER}"
            )

    def head(self) -> Head:
        """Read the head of the file, which comes first."""
        return Head(*self._receive()[1])

    def rows(self) -> Iterator[Row]:
        """Read the rows, which come after the head."""
        while (message := self._receive())[0] == "rows":
            for row in message[1]:
                yield [self._read(cell) if isinstance(cell, int) else cell for cell in row]

    def _receive(self) -> tuple[str, Any]:
        """Read a kind and a value; raise the error that they are, if they are one."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise damaged(self._path, _why(self.end()))
        kind, value = json.loads(line)
        if error := ERRORS.get(kind):
            raise error(value)
        return kind, value

    def _read(self, size: int) -> bytes:
        content = self._answers.read(size)
        if len(content) < size:
            raise damaged(self._path, _why(self.end()))
        return content

    def kill(self) -> None:
        """End the process whatever it does."""
        self._popen.kill()

    def end(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        self._answers.close()
        return exit_status(self._popen)


def _why(status: int) -> str:
    """Explain the exit status of a process, which is negative if a signal ended it."""
    times = {-signal.SIGPROF: CPU_S, -signal.SIGALRM: WALL_S}
    if status in times:
        return f"it is damaged, or a few rows of it take more than {times[status]:g} s"
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return f"it is damaged, and crashed the reader ({how})"


def _giant(path: Path, count: int) -> SourceError:
    """Build the error for a file that is too large, or a decompression bomb."""
    most = megabytes(_memory() / SHARE)
    return SourceError(
        f"A table must fit into half of the memory ({most}), and unpack to "
        f"{megabytes(most_unpacked(path))} at most, but {path} of {count:,} rows does not. Split "
        "it, or write its images into class folders."
    )


def _memory() -> int:
    """Memory of the machine in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return MEMORY
