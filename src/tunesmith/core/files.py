"""Atomic file writes, copies of folders, and safe opening of untrusted files."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LARGEST_FILE = 100_000_000  # bytes, uncompressed; larger files are not read

# Do not follow a symbolic link, and do not block on a pipe.
NO_LINK, NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Replace a leading ``~`` or ``~user`` by a home folder; of no such user, it stays a name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises if there is no such user)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically: at any time, the path holds the complete old or new content.

    The content goes to a temporary file, which is synced to disk and renamed, and so is its new
    name. A failed attempt leaves nothing behind.

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
        sync(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder to where nothing is; what is neither file, folder nor link is left out.

    Links stay links: what they lead to may lie elsewhere, or be gone.

    Raises:
        OSError: A file cannot be read or written. `shutil.copytree` would hide its number, by
            which a full disk is known.
    """
    target.mkdir(parents=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                copy_tree(Path(entry), target / entry.name)
            elif entry.is_symlink() or entry.is_file():
                shutil.copy2(entry, target / entry.name, follow_symlinks=False)
    shutil.copystat(source, target)


def sync_tree(folder: Path) -> None:
    """Wait until the files in a folder, and their names, are on disk; links are left alone.

    Raises:
        OSError: A file cannot be written.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk.

    What is neither, or cannot be opened, is left alone: it may be gone meanwhile.

    Raises:
        OSError: A file cannot be written.
    """
    try:
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | NO_LINK | NO_WAIT)
    except OSError:  # on Windows, folders cannot be opened
        return
    try:
        mode = os.fstat(opened).st_mode
        if stat.S_ISREG(mode):
            os.fsync(opened)
        elif stat.S_ISDIR(mode):
            with suppress(OSError):  # not every file system can
                os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def open_plain(
    path: str | bytes | os.PathLike[str], *, follow: bool
) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    """Open a regular file of at most 100 MB for reading.

    Args:
        path: File to open.
        follow: Whether the path may be a symbolic link.

    Yields:
        The open file, and its `os.stat_result`.

    Raises:
        OSError: The file cannot be opened, is not a regular file, or is larger than 100 MB; the
            text says which.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | NO_WAIT | (0 if follow else NO_LINK)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if found.st_size > LARGEST_FILE:
            raise OSError(f"it has {found.st_size:,} bytes, more than {LARGEST_FILE:,}")
        yield file, found
