"""Open any supported source of data as one list of labeled images."""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.core.files import expanded
from tunesmith.core.headers import SUFFIXES
from tunesmith.core.words import nearest, tally
from tunesmith.data import arrays, builtin, cifar, tables
from tunesmith.data.archives import Archive
from tunesmith.data.datasets import from_dataset
from tunesmith.data.folders import (
    NOT_IMAGE,
    Files,
    first_bytes,
    passed_over,
    printable,
    read_layout,
    scan,
)
from tunesmith.data.imageless import imageless
from tunesmith.data.quarantine import without_listed
from tunesmith.data.reading import read_listed
from tunesmith.data.source import PARTS, Given, Source, check_classes
from tunesmith.data.tars import Tar, is_tar
from tunesmith.data.with_test import with_test

FORMS = "a folder, a .zip, a .tar (.gz, .bz2, .xz), a .csv, a .parquet"  # see also `open_source`


def open_source(
    source: Any,
    *,
    test: Any = None,
    columns: Mapping[str, str] | None = None,
    quarantine: Path | None = None,
) -> Source:
    """Open a source of data and list its images.

    Args:
        source: A folder of class folders, or of ``train`` / ``val`` / ``test`` folders of those; a
            ``.zip`` or ``.tar`` of either; a ``.csv`` or ``.parquet`` table of paths and labels; a
            folder of IDX files; an ``.npz``; a built-in name; arrays ``(X, y)``; a torch Dataset;
            or a `Source`.
        test: Test set in any of these forms, if ``source`` has none.
        columns: Names of a table's columns by role; see `tables.read_table`.
        quarantine: List of images to exclude.

    Raises:
        SourceError: The source does not exist, has none of these forms, cannot be learned from, or
            is not a table although ``columns`` are named.
    """
    opened = _open(source, columns or {})
    if test is not None:
        opened = with_test(opened, _open(test, columns or {}))
    if columns and not (tables.is_table(source) or tables.is_table(test)):
        raise SourceError(
            f"`--columns` names columns of a table, but {opened.name} is none: leave it out."
        )
    if quarantine is not None:
        opened = without_listed(opened, quarantine)
    check_classes(opened)
    return opened


def _open(source: Any, columns: Mapping[str, str]) -> Source:
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        return _open_path(expanded(source), os.fspath(source), columns)
    if isinstance(source, tuple) and len(source) == 2:  # noqa: PLR2004 (images and labels)
        return _from_arrays("arrays", arrays.from_arrays(*source))
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return _from_arrays("dataset", from_dataset(source))
    raise SourceError(
        f"Data are a path, a built-in name, arrays (X, y) or a torch Dataset, but got "
        f"{type(source).__name__}. Pass one of these."
    )


def _open_path(path: Path, text: str, columns: Mapping[str, str]) -> Source:
    """Open a file, a folder or a built-in data set."""
    if not text or not os.path.exists(path):  # noqa: PTH110 (pathlib's raises on overlong names)
        return _open_name(path, text, columns)
    if not (path.is_dir() or path.is_file()):
        raise SourceError(
            f"Data are read more than once, but {path} is a pipe or a device. Write what it gives "
            "into a file, and pass that."
        )
    whole = path.resolve()
    stem = printable(os.fsencode(whole.name if path.is_dir() else whole.stem.removesuffix(".tar")))
    name = re.sub(r"[^\w.-]+", "_", stem).strip("._") or "data"
    if data := _read_arrays(path):
        return _from_arrays(name, data)
    if path.is_dir():
        return _from_folder(name, path)
    if path.suffix.lower() == ".zip" or is_tar(path.name):
        return _from_archive(name, Tar(path) if is_tar(path.name) else Archive(path))
    if path.suffix.lower() in tables.SUFFIXES:
        return _from_table(name, path, columns)
    raise SourceError(
        f"Data are {FORMS} or an .npz, but {path} is none of these. Unpack it, "
        "or pass the folder that it lies in."
    )


def _open_name(path: Path, text: str, columns: Mapping[str, str]) -> Source:
    """Open a built-in data set, or raise an error that suggests what exists."""
    if text == builtin.DIGITS:
        return _from_arrays(text, builtin.load_digits())
    if text in builtin.NAMES:
        place = builtin.locate(text)
        return _open_path(place, str(place), columns)
    parent = path.parent
    siblings = [*builtin.NAMES]
    with contextlib.suppress(OSError):  # the folder may be missing or unreadable
        siblings += [p.name for p in parent.iterdir()]
    raise SourceError(
        f"The data must exist, but there is no {text!r}.{nearest(path.name, siblings)} Pass "
        f"{FORMS}, an .npz, or one of: {', '.join(builtin.NAMES)}."
    )


def _read_arrays(path: Path) -> arrays.Arrays | None:
    """Read a path that holds arrays instead of image files; None if it does not."""
    if archive := cifar.find_cifar(path):
        return cifar.read_cifar(archive)
    if arrays.is_idx_folder(path):
        return arrays.read_idx(path)
    return arrays.read_npz(path) if path.suffix.lower() == ".npz" and path.is_file() else None


def _from_folder(name: str, path: Path) -> Source:
    files, root = scan(path), os.fsencode(path)

    def place(inside: bytes) -> bytes:
        return os.path.join(root, inside)  # noqa: PTH118 (names of any bytes)

    return _from_files(
        name,
        path,
        files,
        read=lambda index: read_listed(place(files.paths[index]), files.stamps[index]),
        begin=lambda index: first_bytes(place(files.others[index][0])),
    )


def _from_archive(name: str, archive: Archive | Tar) -> Source:
    members: Sequence[Any] = archive.members
    others: Sequence[Any] = archive.others
    files = Files(
        paths=tuple(member.name.encode("utf-8", "surrogateescape") for member in members),
        stamps=tuple(member.stamp for member in members),
        others=tuple(
            (other.name.encode("utf-8", "surrogateescape"), passed_over(other.name) or NOT_IMAGE)
            for other in others
        ),
        skipped=archive.skipped,
    )
    return _from_files(
        name,
        archive.path,
        files,
        read=lambda index: archive.read(members[index]),
        begin=lambda index: archive.begin(others[index]),
    )


def _from_table(name: str, path: Path, columns: Mapping[str, str]) -> Source:
    table = tables.read_table(path, columns)
    rows = zip(table.names, table.stamps, table.labels, table.parts, strict=True)
    return Source(
        name=name,
        classes=table.classes,
        names=tuple(printable(os.fsencode(each)) for each in table.names),
        labels=np.array(table.labels, np.int64),
        given=np.array([PARTS[part] for part in table.parts], np.int8),
        read=table.read,
        skipped=dict(table.skipped),
        identity=hashlib.sha256(repr([*rows, table.classes, table.groups]).encode()).hexdigest(),
        groups=None if table.groups is None else np.array(table.groups, np.int64),
        group_names=table.group_names,
        columns=table.columns,
    )


def _from_files(
    name: str,
    origin: Path,
    files: Files,
    *,
    read: Callable[[int], bytes],
    begin: Callable[[int], bytes],
) -> Source:
    """Build a source, with classes and splits from the files' paths."""
    if not files.paths:
        raise SourceError(
            f"The data must hold images, one folder for each class, but {origin} holds none "
            f"(skipped: {tally(files.skipped) or 'nothing'}). Images are files that end in "
            f"{' '.join(SUFFIXES)}; links are not followed."
        )
    names = tuple(map(printable, files.paths))
    layout = read_layout(str(origin), names)
    others = [(printable(path), kind) for path, kind in files.others]
    left = imageless(str(origin), names, others, begin)
    digest = hashlib.sha256()
    for path, stamp in zip(files.paths, files.stamps, strict=True):
        digest.update(path + f"\0{stamp}\n".encode())
    return Source(
        name=name,
        classes=layout.classes,
        names=names,
        labels=np.array(layout.labels, np.int64),
        given=np.array([PARTS[part] for part in layout.parts], np.int8),
        read=read,
        skipped=dict(files.skipped + left),
        identity=digest.hexdigest(),
    )


def _from_arrays(name: str, data: arrays.Arrays) -> Source:
    others = Given.TRAIN if data.is_test.any() else Given.NONE
    digest = hashlib.sha256(data.labels.tobytes() + data.is_test.tobytes())
    digest.update(repr(data.classes).encode())
    for image_HWC in data.images:
        digest.update(f"{image_HWC.shape}".encode())
        digest.update(np.ascontiguousarray(image_HWC).data)
    return Source(
        name=name,
        classes=data.classes,
        names=tuple(f"#{index}" for index in range(len(data.labels))),
        labels=data.labels,
        given=np.where(data.is_test, Given.TEST, others).astype(np.int8),
        read=lambda index: data.images[index],
        skipped={},
        identity=digest.hexdigest(),
    )
