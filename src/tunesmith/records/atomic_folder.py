"""Create whole folders: build a temporary folder, then rename it.

While one replaces another, there is none for a moment: folders cannot be exchanged in one step.
"""

import errno
import os
import shutil
from pathlib import Path

from tunesmith.core.files import sync, sync_tree
from tunesmith.records.folder import writing


def new_folder(path: Path) -> Path:
    """Create an empty temporary folder next to its final path, where nothing changes yet.

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
    """Rename a complete temporary folder to its final path, replacing an older folder.

    It is on disk before it has its name: a power cut leaves no folder with empty files.

    Raises:
        RunFolderError: There is no space or no permission.
    """
    before = path.with_name(f"{path.name}.before")
    with writing(path):
        sync_tree(aside)
        shutil.rmtree(before, ignore_errors=True)
        if path.exists():
            path.replace(before)
        aside.replace(path)
        sync(path.parent)
        shutil.rmtree(before, ignore_errors=True)
