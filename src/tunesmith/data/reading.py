"""Read what was listed before: that very file, whole, or not at all; or a piece of an archive."""

import errno
import os
import threading
import weakref
from typing import IO, final

from tunesmith.core.files import open_plain
from tunesmith.data.folders import stamp_of

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
    try:
        content = _content(path, stamp, follow=follow)
    except OSError as error:
        is_link = error.errno == errno.ELOOP and not follow  # in the place of what was listed
        raise OSError(CHANGED) if is_link else error from None
    if content is None:
        raise OSError(CHANGED)
    return content


def _content(path: str | bytes | os.PathLike[str], stamp: str, *, follow: bool) -> bytes | None:
    """What a file holds; None if it is not as it was listed."""
    with open_plain(path, follow=follow) as (file, found):
        if stamp_of(found) != stamp:
            return None
        content = file.read(found.st_size + 1)
        is_same = len(content) == found.st_size and stamp_of(os.fstat(file.fileno())) == stamp
    return content if is_same else None


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
