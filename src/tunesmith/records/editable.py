"""Generated files that the user may edit; an edited file is never overwritten."""

import hashlib
from pathlib import Path

from tunesmith.core.errors import RunFolderError
from tunesmith.records.folder import write_atomic, writing

CHECKED = "check.json"  # machine-readable result of `check`, next to its list


def refuse_edited(path: Path) -> None:
    """Check that a file may be written: it does not exist, or is unchanged since it was written.

    A list from a version that stored no hashes is renamed, since it may have been edited.

    Raises:
        RunFolderError: The user has edited or created the file.
    """
    with writing(path):
        _move_aside(path)
    _refuse(path)


def write_editable(path: Path, content: str) -> None:
    """Write a file and store its hash, unless the user has edited the existing file.

    Raises:
        RunFolderError: The file was edited, or cannot be written.
    """
    _refuse(path)
    new, there = hashlib.sha256(content.encode()).hexdigest(), _hash_of(path)
    # Before the file, and with the old hash: after a kill in between, neither looks edited.
    write_atomic(memory_of(path), "".join(f"{each}\n" for each in (there, new) if each))
    write_atomic(path, content)


def _move_aside(path: Path) -> None:
    before = path.with_name(f"{path.stem}.before{path.suffix}")
    is_unknown = path.is_file() and not memory_of(path).exists()
    if is_unknown and path.with_name(CHECKED).is_file() and not before.exists():
        path.rename(before)


def _refuse(path: Path) -> None:
    with writing(path):
        there = _hash_of(path)
    if there is not None and there not in _remembered(path):
        raise RunFolderError(
            f"{path} was edited since it was written, or is somebody else's, and would be "
            "overwritten. Move it elsewhere (pass it with --quarantine to leave out what it "
            "lists), or pass another --out."
        )


def memory_of(path: Path) -> Path:
    """File with the hashes of what was written."""
    return path.with_name(f".{path.name}.sha256")


def _remembered(path: Path) -> list[str]:
    try:
        return memory_of(path).read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _hash_of(path: Path) -> str | None:
    """Hash a file; None if it does not exist."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
