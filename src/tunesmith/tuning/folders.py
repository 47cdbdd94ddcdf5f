"""A trial's folder, such that each slice begins with what the one before it left.

A slice works on a copy; when it is over and told, the copy takes the place of what was there. A
slice that dies leaves nothing behind, so that one is never done half, or twice.
"""

import contextlib
import os
import shutil
from pathlib import Path

from tunesmith.records.folder import writing

PART = ".part"
ERROR = "error.txt"  # in the folder of a trial that failed


def at_unit(root: Path, trial: int, at: int) -> Path:
    """Where a trial's folder is after some units of training."""
    return root / f"{trial:04d}" / f"{at:08d}"


def opened(root: Path, trial: int, *, start: int, until: int) -> Path:
    """A folder for a slice, with what the one before it left.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    part = at_unit(root, trial, until).with_suffix(PART)
    shutil.rmtree(part, ignore_errors=True)
    before = at_unit(root, trial, start)
    with writing(part):
        if before.is_dir():
            # Links stay links: what they lead to is not the function's state, or may be gone.
            shutil.copytree(before, part, symlinks=True)
        else:
            part.mkdir(parents=True)
    return part


def closed(part: Path) -> Path:
    """Make a slice's folder the trial's; an empty one, where the slice removed it."""
    part.mkdir(parents=True, exist_ok=True)
    whole = part.with_suffix("")
    shutil.rmtree(whole, ignore_errors=True)
    whole.with_name(ERROR).unlink(missing_ok=True)  # it worked now
    return part.rename(whole)


def is_empty(folder: Path) -> bool:
    """Whether there is no file in it."""
    return not any(path.is_file() for path in folder.rglob("*"))


def size(folder: Path) -> int:
    """Bytes of the files in it; 0 where there is none."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it is gone meanwhile
                found += Path(place, name).lstat().st_size
    return found


def tidy(root: Path, keep: dict[int, int]) -> None:
    """Remove what belongs to no trial's last slice.

    Args:
        root: Of all trials' folders.
        keep: Of each trial that can go on or is done, its units of training.
    """
    for folder in root.glob("[0-9]*"):
        tidy_trial(root, int(folder.name), keep.get(int(folder.name), 0))


def tidy_trial(root: Path, trial: int, at: int) -> None:
    """Remove all of a trial's folders but the one after some units of training."""
    kept = at_unit(root, trial, at)
    for folder in sorted(kept.parent.glob("*")):
        if folder.is_dir() and folder != kept:
            # What a straggler still writes there goes the next time.
            shutil.rmtree(folder, ignore_errors=True)


def explain(root: Path, trial: int, text: str) -> Path:
    """Write down beside a trial's folders why it failed.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    path = root / f"{trial:04d}" / ERROR
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return path
