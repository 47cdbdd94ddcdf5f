"""Folders of trials: each slice begins with the state that the previous one left.

A slice works on a copy. Once it is done and reported, the copy replaces the trial's folder. A slice
that dies leaves nothing behind, so that none is done by half, or twice.
"""

import contextlib
import os
import shutil
from pathlib import Path

from tunesmith.core.files import copy_tree, sync, sync_tree
from tunesmith.records.folder import writing

PART = ".part"
ERROR = "error.txt"  # in the folder of a trial that failed


def at_unit(root: Path, trial: int, at: int) -> Path:
    """Path of a trial's folder after ``at`` units of training."""
    return root / f"{trial:04d}" / f"{at:08d}"


def opened(root: Path, trial: int, *, start: int, until: int) -> Path:
    """Create the working folder of a slice, with the state that the previous one left.

    Pipes and sockets are no state: nothing is in them.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    part = at_unit(root, trial, until).with_suffix(PART)
    shutil.rmtree(part, ignore_errors=True)
    before = at_unit(root, trial, start)
    with writing(part):
        if before.is_dir():
            copy_tree(before, part)
        else:
            part.mkdir(parents=True)
    return part


def closed(part: Path) -> Path:
    """Make a slice's working folder the trial's folder; an empty one if the slice removed it.

    It is on disk before the journal says so: a power cut must not lose a recorded slice.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    whole = part.with_suffix("")
    with writing(part):
        part.mkdir(parents=True, exist_ok=True)
        sync_tree(part)
        shutil.rmtree(whole, ignore_errors=True)
        whole.with_name(ERROR).unlink(missing_ok=True)  # it worked now
        part.rename(whole)
        sync(whole.parent)
    return whole


def is_empty(folder: Path) -> bool:
    """Whether a folder has no file in it."""
    return not any(path.is_file() for path in folder.rglob("*"))


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
    for folder in root.glob("[0-9]*"):
        tidy_trial(root, int(folder.name), keep.get(int(folder.name), 0))


def tidy_trial(root: Path, trial: int, at: int) -> None:
    """Remove all of a trial's folders except the one after ``at`` units of training."""
    kept = at_unit(root, trial, at)
    for folder in sorted(kept.parent.glob("*")):
        if folder.is_dir() and folder != kept:
            # What a leftover process still writes there is removed the next time.
            shutil.rmtree(folder, ignore_errors=True)


def explain(root: Path, trial: int, text: str) -> Path:
    """Write beside a trial's folders why it failed.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    path = root / f"{trial:04d}" / ERROR
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return path
