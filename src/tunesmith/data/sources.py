"""What a user can point at, and how each becomes one list of labeled images."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.words import nearest
from tunesmith.data import arrays, builtin
from tunesmith.data.archives import Archive

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".pnm",
)  # fmt: skip


class Given(IntEnum):
    """The part that a source states for an image."""

    NONE = 0
    TRAIN = 1
    VALIDATION = 2
    TEST = 3


PARTS = {
    "train": Given.TRAIN,
    "training": Given.TRAIN,
    "val": Given.VALIDATION,
    "valid": Given.VALIDATION,
    "validation": Given.VALIDATION,
    "test": Given.TEST,
    "testing": Given.TEST,
}


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Labeled images, none of them decoded yet.

    Attributes:
        name: Names the default run folder; safe as a file name.
        classes: Naturally sorted.
        names: Path of each image inside the source, printable.
        labels: Class of each image, ``[N]``.
        given: Part that the source states for each image, ``[N]`` of `Given`.
        read: Encoded bytes, or pixels ``(H, W, C)``, of an image; safe to call from many threads.
            Raises OSError if it cannot be read.
        skipped: Files that are no images, counted by kind.
        identity: Equal for equal data.
    """

    name: str
    classes: tuple[str, ...]
    names: Sequence[str]
    labels: NDArray[np.int64]
    given: NDArray[np.int8]
    read: Callable[[int], bytes | NDArray[np.uint8]]
    skipped: Mapping[str, int]
    identity: str


def open_source(source: Any, *, test: Any = None) -> Source:
    """List the images of whatever a user can point at.

    Args:
        source: A folder of class folders, or of ``train`` / ``val`` / ``test`` folders of those; a
            ``.zip`` of either; a folder of IDX files; an ``.npz``; a built-in name; arrays
            ``(X, y)``; a torch Dataset; or a `Source`.
        test: The same again for a test part, where ``source`` has none.

    Raises:
        SourceError: It does not exist, or is none of these.
    """
    opened = _open(source)
    if test is not None:
        opened = _join(opened, _open(test))
    _check_classes(opened)
    return opened


def _open(source: Any) -> Source:
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        path = Path(text)
        if not path.exists():
            if text in (*builtin.NAMES, *builtin.ELSEWHERE):
                x_NHWC, y_N, classes = builtin.load_builtin(text)
                return _from_arrays(text, x_NHWC, y_N, np.zeros(len(y_N), np.int8), classes)
            raise SourceError(_missing(path))
        return _open_path(path)
    if isinstance(source, tuple) and len(source) == 2:  # noqa: PLR2004 (images and labels)
        x_NHWC, y_N, classes = arrays.check_arrays(*source)
        return _from_arrays("arrays", x_NHWC, y_N, np.zeros(len(y_N), np.int8), classes)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        x_NHWC, y_N, classes = arrays.from_dataset(source)
        return _from_arrays("dataset", x_NHWC, y_N, np.zeros(len(y_N), np.int8), classes)
    raise SourceError(
        f"Data are a path, a built-in name, arrays (X, y) or a torch Dataset, but got "
        f"{type(source).__name__}."
    )


def _missing(path: Path) -> str:
    parent = path.parent if path.parent.is_dir() else Path()
    siblings = [p.name for p in parent.iterdir()] if parent.is_dir() else []
    return (
        f"There is no {path}.{nearest(path.name, siblings)} Pass a folder, a .zip, an .npz, or one "
        f"of: {', '.join(builtin.NAMES)}."
    )


def _open_path(path: Path) -> Source:
    name = re.sub(r"[^\w.-]+", "_", path.resolve().stem) or "data"
    if path.is_dir():
        if arrays.is_idx_folder(path):
            x_NHWC, y_N, test_N = arrays.read_idx(path)
            given = np.where(test_N, Given.TEST, Given.TRAIN).astype(np.int8)
            return _from_arrays(name, x_NHWC, y_N, given, _number_names(y_N))
        files, skipped = _scan(path)
        return _from_files(
            name,
            path,
            [relative for relative, _, _ in files],
            lambda index: _read_file(path / os.fsdecode(files[index][0])),
            skipped,
            [f"{size},{changed}" for _, size, changed in files],
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        x_NHWC, y_N, test_N = arrays.read_npz(path)
        known = Given.TRAIN if test_N.any() else Given.NONE
        given = np.where(test_N, Given.TEST, known).astype(np.int8)
        return _from_arrays(name, x_NHWC, y_N, given, _number_names(y_N))
    if suffix == ".zip":
        archive = Archive(path)
        kept, skipped = _members(archive)
        return _from_files(
            name,
            path,
            [os.fsencode(m.name) for m in kept],
            lambda index: archive.read(kept[index]),
            skipped,
            [f"{m.size},{m.crc}" for m in kept],
        )
    raise SourceError(f"{path} is no folder, .zip or .npz, so it is not known how to read it.")


def _number_names(y_N: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(map(str, range(int(y_N.max()) + 1 if len(y_N) else 0)))


def _read_file(path: Path) -> bytes:
    return path.read_bytes()


def _scan(root: Path) -> tuple[list[tuple[bytes, int, int]], Counter[str]]:
    """All image files below a folder: relative path, size, time of change; and what was skipped.

    Links are not followed, so that nothing outside the folder is read.
    """
    found: list[tuple[bytes, int, int]] = []
    skipped: Counter[str] = Counter()
    todo = [(os.fsencode(root), b"")]
    while todo:
        folder, prefix = todo.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name: bytes = entry.name
                if name.startswith(b"."):
                    skipped["hidden"] += 1
                elif entry.is_symlink():
                    skipped["link"] += 1
                elif entry.is_dir():
                    todo.append((entry.path, prefix + name + b"/"))
                elif not entry.is_file():
                    skipped["no regular file"] += 1
                elif os.path.splitext(name)[1].lower().decode("ascii", "ignore") not in SUFFIXES:  # noqa: PTH122 (70,000 times)
                    skipped["not an image"] += 1
                else:
                    stat = entry.stat()
                    found.append((prefix + name, stat.st_size, stat.st_mtime_ns))
    return sorted(found), skipped


def _members(archive: Archive) -> tuple[list[Any], Counter[str]]:
    """The image members of an archive, and what was skipped."""
    kept, skipped = [], Counter[str]()
    for member in archive.members:
        parts = member.name.split("/")
        if any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX":
            skipped["hidden"] += 1
        elif os.path.splitext(member.name)[1].lower() not in SUFFIXES:  # noqa: PTH122 (70,000 times)
            skipped["not an image"] += 1
        else:
            kept.append(member)
    kept.sort(key=lambda m: m.name)
    top = {m.name.split("/", 1)[0] for m in kept}
    if len(top) == 1 and all(m.name.count("/") >= 2 for m in kept):  # noqa: PLR2004 (top/class/file)
        cut = len(next(iter(top))) + 1
        kept = [type(m)(m.name[cut:], m.offset, m.packed, m.size, m.method, m.crc) for m in kept]
    return kept, skipped


def printable(path: bytes) -> str:
    """A path for people: composed Unicode, with bytes that are no UTF-8 escaped.

    Example:
        >>> printable(b"caf\\xc3\\xa9/\\xff.png")
        'café/\\\\xff.png'

    """
    return unicodedata.normalize("NFC", path.decode("utf-8", "backslashreplace"))


def natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts ``2`` before ``10``.

    Example:
        >>> sorted(["10", "2", "b1", "a10", "a9"], key=natural)
        ['2', '10', 'a9', 'a10', 'b1']

    """
    return [
        (0, int(part)) if part.isdecimal() else (1, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def _from_files(
    name: str,
    path: Path,
    files: Sequence[bytes],
    read: Callable[[int], bytes],
    skipped: Mapping[str, int],
    stamps: Iterable[str],
) -> Source:
    """Read classes and parts off the files' paths."""
    if not files:
        kinds = ", ".join(f"{count} {kind}" for kind, count in skipped.items()) or "nothing at all"
        raise SourceError(
            f"{path} holds no image ({kinds}). Images are files that end in "
            f"{', '.join(SUFFIXES)}, one folder for each class."
        )
    names = [printable(file) for file in files]
    split = [file.split("/") for file in names]
    loose = [names[i] for i, parts in enumerate(split) if len(parts) == 1]
    if loose:
        raise SourceError(
            f"{path} has images beside its class folders: {', '.join(loose[:3])}"
            f"{' ...' if len(loose) > 3 else ''} ({len(loose)} in all). Move each image into the "  # noqa: PLR2004 (as many as are named)
            "folder of its class."
        )
    tops = {parts[0] for parts in split}
    has_parts = all(top.lower() in PARTS for top in tops) and all(len(p) > 2 for p in split)  # noqa: PLR2004 (part/class/file)
    place = 1 if has_parts else 0
    classes = tuple(sorted({parts[place] for parts in split}, key=natural))
    number = {label: index for index, label in enumerate(classes)}
    given = [PARTS[p[0].lower()] if has_parts else Given.NONE for p in split]
    digest = hashlib.sha256()
    for file, stamp in zip(files, stamps, strict=True):
        digest.update(file + b"\0" + stamp.encode() + b"\n")
    return Source(
        name=name,
        classes=classes,
        names=names,
        labels=np.array([number[parts[place]] for parts in split], np.int64),
        given=np.array(given, np.int8),
        read=read,
        skipped=dict(skipped),
        identity=digest.hexdigest(),
    )


def _from_arrays(
    name: str,
    x_NHWC: NDArray[np.uint8],
    y_N: NDArray[np.int64],
    given: NDArray[np.int8],
    classes: tuple[str, ...],
) -> Source:
    digest = hashlib.sha256(np.ascontiguousarray(x_NHWC))
    digest.update(y_N.tobytes() + given.tobytes() + repr(classes).encode())
    return Source(
        name=name,
        classes=classes,
        names=[f"#{index}" for index in range(len(y_N))],
        labels=y_N,
        given=given,
        read=lambda index: x_NHWC[index],
        skipped={},
        identity=digest.hexdigest(),
    )


def _join(first: Source, test: Source) -> Source:
    """Add a test part that was given on its own."""
    if (first.given == Given.TEST).any():
        raise SourceError(
            f"{first.name} has a test part already, so --test cannot give another. Leave one out."
        )
    unknown = [label for label in test.classes if label not in first.classes]
    if unknown:
        raise SourceError(_unknown_classes(unknown))
    number = {label: index for index, label in enumerate(first.classes)}
    split = len(first.labels)
    moved = np.array([number[label] for label in test.classes], np.int64)
    return Source(
        name=first.name,
        classes=first.classes,
        names=[*first.names, *(f"test:{name}" for name in test.names)],
        labels=np.concatenate([first.labels, moved[test.labels]]),
        given=np.concatenate([first.given, np.full(len(test.labels), Given.TEST, np.int8)]),
        read=lambda index: first.read(index) if index < split else test.read(index - split),
        skipped=dict(Counter(first.skipped) + Counter(test.skipped)),
        identity=hashlib.sha256((first.identity + test.identity).encode()).hexdigest(),
    )


def _unknown_classes(labels: Sequence[str]) -> str:
    return (
        f"The test part has classes that the training part has not: {', '.join(labels[:5])}. A "
        "model cannot name what it never saw: add training images of them, or take them out."
    )


def _check_classes(source: Source) -> None:
    """Refuse data that no classifier can learn from.

    Raises:
        SourceError: There are no two classes, or a class has under two images to learn from.
    """
    if len(source.classes) < 2:  # noqa: PLR2004 (a classifier chooses between two)
        raise SourceError(
            f"{source.name} has {len(source.classes)} class "
            f"({', '.join(source.classes) or 'none'}), but telling classes apart needs at least "
            "two: one folder of images for each."
        )
    learned = source.given != Given.TEST
    counts = np.bincount(source.labels[learned], minlength=len(source.classes))
    untaught = [source.classes[k] for k in np.flatnonzero(counts == 0)]
    if untaught:
        raise SourceError(_unknown_classes(untaught))
    single = [source.classes[k] for k in np.flatnonzero(counts == 1)]
    if single:
        raise SourceError(
            f"These classes have one image only: {', '.join(single[:5])}. A class needs at least "
            "two to learn from, and about twenty to be learned well: add images, or remove it."
        )
