"""Read listed files, if they are unchanged since, and pieces of archives."""

import errno
import os
import threading
import weakref
from typing import IO, final

from tunesmith.core.files import open_plain
from tunesmith.data.folders import stamp_of

CHANGED = "it changed after the data were listed"


def read_listed(path: str | bytes | os.PathLike[str], stamp: str, *, follow: bool = False) -> bytes:
    """Read a file, if it is unchanged since it was listed.

    Args:
        path: File to read.
        stamp: Stamp of the file when it was listed, by `folders.stamp_of`.
        follow: Whether the path may be a symbolic link.

    Raises:
        OSError: The file is gone, has changed since or changes now, is no longer a regular file, or
            is larger than 100 MB; the text says which.
    """
    try:
        content = _content(path, stamp, follow=follow)
    except OSError as error:
        is_link = error.errno == errno.ELOOP and not follow  # a link replaced the file
        raise OSError(CHANGED) if is_link else error from None
    if content is None:
        raise OSError(CHANGED)
    return content


def _content(path: str | bytes | os.PathLike[str], stamp: str, *, follow: bool) -> bytes | None:
    """Content of a file; None if it changed since it was listed."""
    with open_plain(path, follow=follow) as (file, found):
        if stamp_of(found) != stamp:
            return None
        content = file.read(found.st_size + 1)
        is_same = len(content) == found.st_size and stamp_of(os.fstat(file.fileno())) == stamp
    return content if is_same else None


@final
class Pieces:
    """A file that many threads can read at once, at any offset.

    It is not memory-mapped: reading a mapped file where it was truncated would kill the process.

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
        """Read bytes at an offset; fewer at the end of the file.

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
