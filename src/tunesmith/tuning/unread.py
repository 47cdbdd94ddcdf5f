"""Whether a function reads what it left, as told by the times of access that the system keeps.

They see whatever reads a file: Python, libraries in other languages, other processes. Some disks do
not keep them; then nothing is said.
"""

import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

MARK = "unread"  # in a trial's folder: its last slice read nothing of what was left
MOST = 256  # files and folders to watch; of more, nothing is said
EARLIER_S = 3600.0  # age of the time of access that files get; the kernel renews those that are old


@contextmanager
def watching(folder: Path) -> Iterator[Callable[[], bool]]:
    """Watch the files that are in a folder now, and the folders in it.

    Args:
        folder: The folder.

    Yields:
        Function that tells whether it is sure that none of them was read since.
    """
    with ExitStack() as opened:
        before: dict[int, int] = {}
        with suppress(OSError):  # a file that cannot be opened: nothing is said
            before = _stamped(folder, opened) if _is_told(folder.parent) else {}
        yield lambda: bool(before) and all(_read_at(file) == at for file, at in before.items())


def mark(folder: Path, *, is_unread: bool) -> None:
    """Record beside the working folder of a slice whether it read nothing."""
    path = folder.with_name(MARK)
    if is_unread:
        path.touch()
    else:
        path.unlink(missing_ok=True)


def is_marked(folder: Path) -> bool:
    """Whether the last slice of the trial of a folder read nothing."""
    # Not pathlib's, which raises where no one may enter.
    return os.path.exists(folder.with_name(MARK))  # noqa: PTH110


def _stamped(folder: Path, opened: ExitStack) -> dict[int, int]:
    """Open all that is in a folder, and give it an old time of access.

    Returns:
        These times in nanoseconds, by file descriptor; none if it cannot be watched as a whole.
    """
    paths = [folder, *folder.rglob("*")]
    kinds = {stat.S_IFMT(path.lstat().st_mode) for path in paths}
    has_content = any(path.stat().st_size for path in paths if path.is_file())
    if len(paths) > MOST or not kinds <= {stat.S_IFREG, stat.S_IFDIR} or not has_content:
        return {}
    files = []
    for path in paths:  # open, since a file may be replaced by another one after it was read
        files.append(os.open(path, os.O_RDONLY))
        opened.callback(os.close, files[-1])
    return {file: _stamp(file) for file in files}


def _is_told(folder: Path) -> bool:
    """Whether the disk of a folder tells when a file is read."""
    if os.utime not in os.supports_fd:
        return False
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.seek(0)
        before = _stamp(file.fileno())
        file.read()
        return _read_at(file.fileno()) != before


def _stamp(file: int) -> int:
    os.utime(file, ns=(int(1e9 * (time.time() - EARLIER_S)), os.fstat(file).st_mtime_ns))
    return _read_at(file)


def _read_at(file: int) -> int:
    return os.fstat(file).st_atime_ns
