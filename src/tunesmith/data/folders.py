"""Layout of image folders: which files are images, and which class and split their paths state."""

import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tunesmith.core.errors import SourceError
from tunesmith.core.files import open_plain
from tunesmith.core.headers import SUFFIXES

# Image formats that cannot be decoded; a folder of such files is probably meant as a class.
UNREAD = (
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".svg", ".svgz", ".ico", ".icns",
    ".tga", ".psd", ".xcf", ".exr", ".dds", ".pcx", ".dcm", ".raw", ".dng", ".cr2", ".cr3", ".nef",
    ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw",
)  # fmt: skip
# Kinds of what is skipped.
HIDDEN, NOT_IMAGE, SPECIAL = "hidden file", "file of another kind", "special file"
NOT_READ = "image of a format that is not read"
LINK, LINKED, EMPTY = "link", "linked folder", "empty folder"
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
SHOWN = 3  # names that a message lists
BEGIN = 100_000  # bytes read of a file that may be an image all the same


def is_hidden(path: str) -> bool:
    """Whether a "/"-separated path is hidden."""
    return path.startswith((".", "__MACOSX/")) or "/." in path


def passed_over(path: str) -> str | None:
    """Why to skip a file, by its "/"-separated path, or None."""
    if is_hidden(path):
        return HIDDEN
    if path.lower().endswith(SUFFIXES):
        return None
    return NOT_READ if path.lower().endswith(UNREAD) else NOT_IMAGE


def printable(path: bytes) -> str:
    r"""Format a path for display: composed Unicode, with everything unprintable escaped.

    Example:
        >>> printable(b"caf\xc3\xa9/\xff\n.png")
        'café/\\xff\\x0a.png'

    """
    text = unicodedata.normalize("NFC", path.decode("utf-8", "backslashreplace"))
    if text.isprintable():
        return text
    escaped = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return unicodedata.normalize("NFC", escaped)  # an accent may follow a digit now


def shown(text: str) -> str:
    r"""Escape the control characters in a text for a terminal: a file name may be any bytes.

    Everything else stays unchanged, so that a printed name is the file's name.

    Example:
        >>> shown("red\x1b[31m"), shown("a\udcff.png"), shown("\u202egnp")
        ('red\\x1b[31m', 'a\\xff.png', '\\u202egnp')

    """
    name = text.encode("utf-8", sys.getfilesystemencodeerrors()).decode("utf-8", "backslashreplace")
    # Control characters, line and paragraph separators, and marks of the writing direction.
    for c in set(re.findall(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", name)):
        name = name.replace(c, f"\\x{ord(c):02x}" if c <= "\xff" else f"\\u{ord(c):04x}")
    return name


def natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts ``2`` before ``10``.

    Example:
        >>> sorted(["10", "2", "b1", "a10", "a9"], key=natural)
        ['2', '10', 'a9', 'a10', 'b1']

    """
    # Digits of all scripts are numbers; the name itself settles "2" against "02".
    parts = [part for part in re.split(r"(\d+)", name) if part]
    key = [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
    return [*key, (-1, name)]


def stamp_of(found: os.stat_result) -> str:
    """Stamp that changes with a file's content: its size and modification time."""
    return f"{found.st_size},{found.st_mtime_ns}"


@final
@dataclass(frozen=True, kw_only=True)
class Files:
    """Sorted files below a folder: images with stamps, and all that is skipped.

    Attributes:
        paths: Paths of the images.
        stamps: Stamps of the images.
        others: Path and kind of what is skipped; the path of a folder ends in "/".
        skipped: Counts of what is skipped, by kind.
    """

    paths: tuple[bytes, ...]
    stamps: tuple[str, ...]
    others: tuple[tuple[bytes, str], ...]
    skipped: Counter[str]


def scan(root: Path) -> Files:
    """List all image files below a folder.

    Symbolic links are not followed, so that nothing outside the folder is read.

    Raises:
        SourceError: A folder cannot be read.
    """
    found: list[tuple[bytes, str]] = []
    others: list[tuple[bytes, str]] = []
    todo = [(os.fsencode(root), b"")]
    while todo:
        folder, prefix = todo.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
            for entry in entries:
                entry.stat(follow_symlinks=False)  # raises here, where the error is handled
        except OSError as error:
            raise SourceError(
                f"Every folder of {root} must be readable, but {printable(folder)} is not: "
                f"{error.strerror}. Mend its permissions, or move it elsewhere."
            ) from None
        others += [(prefix, EMPTY)] * (bool(prefix) and not entries)
        for entry in entries:
            if kind := _kind(entry):
                others.append((prefix + entry.name + b"/" * (kind == LINKED), kind))
            elif entry.is_dir(follow_symlinks=False):
                todo.append((entry.path, prefix + entry.name + b"/"))
            else:
                stamp = stamp_of(entry.stat(follow_symlinks=False))
                found.append((prefix + entry.name, stamp))
    found.sort()
    return Files(
        paths=tuple(path for path, _ in found),
        stamps=tuple(stamp for _, stamp in found),
        others=tuple(sorted(others)),
        skipped=Counter(kind for _, kind in others),
    )


def _kind(entry: os.DirEntry[bytes]) -> str | None:
    """Why to skip an entry of a folder, or None."""
    if entry.name.startswith(b"."):
        return HIDDEN
    if entry.is_symlink():
        return LINKED if entry.is_dir() else LINK
    if entry.is_dir(follow_symlinks=False):
        return None
    if not entry.is_file(follow_symlinks=False):
        return SPECIAL
    return passed_over(os.fsdecode(entry.name))


def first_bytes(path: bytes) -> bytes:
    """Read the first bytes of a file; empty if it cannot be read."""
    try:
        with open_plain(path, follow=False) as (file, _):
            return file.read(BEGIN)
    except OSError:
        return b""


@final
@dataclass(frozen=True, kw_only=True)
class Layout:
    """Classes in natural order, and class and split of each file, by its path.

    Each of ``parts`` is a split: "train", "validation", "test", or "" if the layout states none.
    """

    classes: tuple[str, ...]
    labels: list[int]
    parts: list[str]


def read_layout(origin: str, names: Sequence[str]) -> Layout:
    """Read classes and splits from paths such as ``cat/1.png`` or ``train/cat/1.png``.

    If all top folders are named like splits, they are splits. A class folder may have subfolders.

    Args:
        origin: Folder or archive that holds the files, for messages.
        names: "/"-separated paths of the files in it.

    Raises:
        SourceError: An image is outside of the class folders, or top folders mix splits and others.
    """
    split = [name.split("/") for name in names]
    parts = [part_of(name) for name in names]
    has_parts = all(parts)
    if not has_parts:
        _refuse_mixed(origin, split)
    place = 1 if has_parts else 0
    loose = [name for name, pieces in zip(names, split, strict=True) if len(pieces) <= place + 1]
    if loose:
        raise SourceError(
            f"The folder that an image lies in names its class, but in {origin} {len(loose):,} "
            f"images lie in none: {listed(loose)}. Move each into the folder of its class."
        )
    labels = [pieces[place] for pieces in split]
    classes = tuple(sorted(set(labels), key=natural))
    number = {label: index for index, label in enumerate(classes)}
    return Layout(
        classes=classes,
        labels=[number[label] for label in labels],
        parts=parts if has_parts else [""] * len(parts),
    )


def _refuse_mixed(origin: str, paths: Iterable[Sequence[str]]) -> None:
    """Refuse top folders of which some are splits; one that is named like a split may be a class.

    Raises:
        SourceError: There are two splits, or one that holds folders as another top folder does.
    """
    inner: dict[str, set[str]] = {}
    for top, *rest in paths:
        inner.setdefault(top, set()).update(rest[:-1][:1])
    stated = sorted(top for top in inner if top.lower() in PARTS)
    others = sorted(inner.keys() - stated)
    is_alike = any(len(inner[part] & inner[other]) > 1 for part in stated for other in others)
    if is_alike or len({PARTS[part.lower()] for part in stated}) > 1:
        raise SourceError(
            f"The folders at the top of {origin} must all be parts (train, val, test) or all be "
            f"classes, but beside parts ({listed(stated)}) there is {listed(others)}. Move that "
            "elsewhere, or name it as the part that it is; if all of them are classes, rename "
            "those that are named like parts."
        )


def part_of(name: str) -> str:
    """Split that the name of a path's top folder states; empty if it states none."""
    top, _, rest = name.partition("/")
    return PARTS.get(top.lower(), "") if rest else ""


def listed(names: Sequence[str]) -> str:
    """List the first few names.

    Example:
        >>> listed(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'

    """
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
