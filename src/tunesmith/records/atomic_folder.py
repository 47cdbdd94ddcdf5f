"""Folders that are there whole or not at all: made aside, then put in place."""

import errno
import os
import shutil
from pathlib import Path

from tunesmith.records.folder import writing


def new_folder(path: Path) -> Path:
    """Make an empty folder beside the place that it is for; what is there stays for now.

    Raises:
        RunFolderError: There is no space or no permission, or a file is in the way.
    """
    aside = path.with_name(f"{path.name}.part")
    with writing(path):
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
    return aside


def put_in_place(aside: Path, path: Path) -> None:
    """Put a folder that is complete where an older one may be, which goes.

    Raises:
        RunFolderError: There is no permission.
    """
    before = path.with_name(f"{path.name}.before")
    with writing(path):
        shutil.rmtree(before, ignore_errors=True)
        if path.exists():
            path.replace(before)
        aside.replace(path)
        shutil.rmtree(before, ignore_errors=True)
