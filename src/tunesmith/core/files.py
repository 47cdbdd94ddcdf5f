"""The one way a file is written that others rely on."""

import os
from pathlib import Path


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
