"""Folders of trials: each slice begins with the state that the previous one left.

A slice works on a copy. Once it is done and reported, the copy replaces the trial's folder. A slice
that dies leaves nothing behind, so that none is done by half, or twice.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import final

from tunesmith.core.errors import RunFolderError
from tunesmith.core.files import copy_tree, sync, sync_tree
from tunesmith.core.words import writable
from tunesmith.records.folder import write_atomic, writing

PART = ".part"
ERROR = "error.txt"  # in the folder of a trial that failed
# Errors by what a slice made of its folder; others, such as a full disk, concern all trials.
OF_ONE = {
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR,
    errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
}  # fmt: skip


@final
class TrialFolderError(RunFolderError):
    """The folder of one trial cannot be used."""


@contextlib.contextmanager
def _using(part: Path) -> Iterator[None]:
    """Tell errors by what a slice made of its folder from those that concern all trials.

    Raises:
        TrialFolderError: The trial's folder cannot be used.
        RunFolderError: There is no space, or the disk fails.
    """
    with writing(part):
        try:
            yield
        except OSError as error:
            if error.errno not in OF_ONE:
                raise
            place = writable(str(error.filename))  # whatever a slice named its file
            raise TrialFolderError(
                f"What it left cannot be kept or read ({error.strerror}: {place}). A slice must "
                "leave its folder a folder, with files in it that can be read."
            ) from error


def at_unit(root: Path, trial: int, at: int) -> Path:
    """Path of a trial's folder after ``at`` units of training."""
    return root / f"{trial:04d}" / f"{at:08d}"


def opened(root: Path, trial: int, *, start: int, until: int) -> Path:
    """Create the working folder of a slice, with the state that the previous one left.

    Pipes and sockets are no state: nothing is in them.

    Raises:
        TrialFolderError: The trial's folder cannot be used, or is gone.
        RunFolderError: There is no space, or the disk fails.
    """
    part = at_unit(root, trial, until).with_suffix(PART)
    _remove(part)
    if start and is_gone(before := at_unit(root, trial, start)):
        raise TrialFolderError(gone_words(before))
    with _using(part):
        if start:
            copy_tree(before, part)
        else:
            part.mkdir(parents=True)
    return part


def is_gone(folder: Path) -> bool:
    """Whether there is no such folder; not if no one may look."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def gone_words(folder: Path) -> str:
    """Say why a trial cannot go on whose folder was removed."""
    return f"What it had learned is gone: there is no {folder} any more."


def closed(part: Path) -> Path:
    """Make a slice's working folder the trial's folder; an empty one if the slice removed it.

    It is on disk before the journal says so: a power cut must not lose a recorded slice.

    Raises:
        TrialFolderError: The trial's folder cannot be used.
        RunFolderError: There is no space, or the disk fails.
    """
    whole = part.with_suffix("")
    with _using(part):
        part.mkdir(parents=True, exist_ok=True)
        sync_tree(part)
        _remove(whole)
        _remove(whole.with_name(ERROR))  # it worked now
        part.rename(whole)
        sync(whole.parent)
    return whole


def _remove(path: Path) -> None:
    """Remove a file, a link, or a folder, as far as that can be."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
    # What a leftover process still writes there is removed the next time.
    shutil.rmtree(path, ignore_errors=True)


def is_empty(folder: Path) -> bool:
    """Whether a folder has no file in it; it does not count as empty if no one may look into it."""

    def refuse(error: OSError) -> None:
        raise error

    try:
        found = (Path(place, n) for place, _, ns in os.walk(folder, onerror=refuse) for n in ns)
        return not any(path.is_file() for path in found)
    except OSError:
        return False


def size(folder: Path) -> int:
    """Total size of the files in a folder, in bytes; 0 if it does not exist."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # the file is gone meanwhile
                found += Path(place, name).lstat().st_size
    return found


def tidy(root: Path, keep: dict[int, int]) -> None:
    """Remove all folders except those of the trials' last slices.

    Args:
        root: Folder of all trial folders.
        keep: Units of training of each trial whose folder is kept, by its number.
    """
    for name in (folder.name for folder in root.glob("*") if folder.name.isdecimal()):
        tidy_trial(root, int(name), keep.get(int(name), 0))


def tidy_trial(root: Path, trial: int, at: int) -> None:
    """Remove all of a trial's folders except the one after ``at`` units of training."""
    kept = at_unit(root, trial, at)
    for folder in sorted(kept.parent.glob("*")):
        with contextlib.suppress(OSError):  # no one may enter the trial's folder
            if folder.is_dir() and folder != kept:
                _remove(folder)


def forget_errors(root: Path) -> None:
    """Remove what was written about trials that failed."""
    for path in (root / ERROR, *root.glob(f"*/{ERROR}")):
        _remove(path)


def explain(root: Path, trial: int, text: str) -> Path:
    """Write beside a trial's folders why it failed; if that cannot be, where all trials are.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    path = root / f"{trial:04d}" / ERROR
    try:
        with _using(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except TrialFolderError:
        path = root / ERROR
        write_atomic(path, text)
    return path
