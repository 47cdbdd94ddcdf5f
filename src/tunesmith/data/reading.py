"""Read a file that was listed before: that very one, whole, or not at all."""

import errno
import os
import stat

from tunesmith.data.archives import LARGEST_MEMBER
from tunesmith.data.folders import stamp_of

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
        if found.st_size > LARGEST_MEMBER:
            raise OSError(f"it has {found.st_size:,} bytes, more than {LARGEST_MEMBER:,}")
        content = file.read(found.st_size + 1)
        if len(content) != found.st_size or stamp_of(os.fstat(file.fileno())) != stamp:
            raise OSError(CHANGED)
    return content
