"""Read what was listed before: that very file, whole, or not at all; or a piece of an archive."""

import errno
import os
import stat
import threading
import weakref
from typing import IO, final

from tunesmith.data.folders import stamp_of

LARGEST_FILE = 100_000_000  # bytes, unpacked; no image that we decode is larger

# A link in the place of a file is not followed, and a pipe there is not waited for.
NO_LINK, NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
CHANGED = "it changed after the data were listed"


def read_listed(path: str | bytes | os.PathLike[str], stamp: str, *, follow: bool = False) -> bytes:
    """Read a file that had a stamp when it was listed.

    Args:
        path: Of the file.
        stamp: By `folders.stamp_of`.
        follow: Whether the path may be that of a link.

    Raises:
        OSError: It is gone, has changed since or changes now, is no regular file any more, or is
            larger than 100 MB; the text says which.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | NO_WAIT | (0 if follow else NO_LINK)
    try:
        file = open(path, "rb", opener=lambda name, _: os.open(name, flags))  # noqa: SIM115 (closed below)
    except OSError as error:
        raise OSError(CHANGED) if error.errno == errno.ELOOP and not follow else error from None
    with file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if stamp_of(found) != stamp:
            raise OSError(CHANGED)
        if found.st_size > LARGEST_FILE:
            raise OSError(f"it has {found.st_size:,} bytes, more than {LARGEST_FILE:,}")
        content = file.read(found.st_size + 1)
        if len(content) != found.st_size or stamp_of(os.fstat(file.fileno())) != stamp:
            raise OSError(CHANGED)
    return content


@final
class Pieces:
    """A file that many threads read at once, each wherever it likes.

    It is not mapped into memory: to read where a mapped file was cut off ends the process.

    Args:
        file: An open file, which may be closed afterwards.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = os.dup(file.fileno())
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, self._descriptor)
        self._stamp = self._measure()

    def _measure(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

    def read(self, offset: int, size: int) -> bytes:
        """Bytes at a place; fewer where the file ends.

        Raises:
            OSError: The file has changed since it was opened, or the disk fails.
        """
        if hasattr(os, "pread"):
            content = os.pread(self._descriptor, size, offset)
        else:  # Windows
            with self._lock:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                content = os.read(self._descriptor, size)
        if self._measure() != self._stamp:
            raise OSError(CHANGED)
        return content
