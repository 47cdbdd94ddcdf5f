"""The one way a file is written that others rely on, and is opened that nobody vouches for."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LARGEST_FILE = 100_000_000  # bytes, unpacked; no image that we decode is larger

# A link in the place of a file is not followed, and a pipe there is not waited for.
NO_LINK, NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file such that at any moment there is the old one or the new one, whole.

    Written aside, to the disk's surface, then renamed; an attempt that fails leaves nothing behind.

    Raises:
        OSError: There is no space, or no permission.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextmanager
def open_plain(
    path: str | bytes | os.PathLike[str], *, follow: bool
) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    """Open a file that is to be read whole: not a pipe or a device, and no larger than an image is.

    Args:
        path: Of the file.
        follow: Whether the path may be that of a link.

    Yields:
        The file, and what the system says of it.

    Raises:
        OSError: It cannot be opened, is no regular file, or is larger than 100 MB; the text says
            which.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | NO_WAIT | (0 if follow else NO_LINK)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if found.st_size > LARGEST_FILE:
            raise OSError(f"it has {found.st_size:,} bytes, more than {LARGEST_FILE:,}")
        yield file, found
