"""Read tables of images: a path and a label in each row, optionally a split and a group."""

import csv
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.core.files import expanded
from tunesmith.core.words import nearest, tally
from tunesmith.data import parquet
from tunesmith.data.folders import PARTS, listed, natural, stamp_of
from tunesmith.data.parquet_worker import Cell
from tunesmith.data.reading import read_listed

SUFFIXES = (".csv", ".tsv", parquet.SUFFIX)
DELIMITERS = ",;\t|"
# Role of a column -> names by which it is found, unless `columns` names it.
NAMES: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path",
        "img", "img_path",
    ),
    "label": ("label", "class", "category", "target", "y", "class_name", "label_name"),
    "split": ("split", "part", "set", "subset", "partition"),
    "group": (
        "group", "group_id", "patient", "patient_id", "subject", "subject_id", "video", "camera",
    ),
}  # fmt: skip
NEEDED = ("path", "label")
NONE = "-"  # in place of a column's name: no column has this role
UNGROUPED = "--columns group=-"  # how to say that no column states groups
MISSING = {"nan", "<na>"}  # what pandas and NumPy write, in any case, where a value is missing
MOST_SHOWN = 20  # bytes of a cell that a message shows
# Kinds of rows that are skipped.
NO_PATH, NO_LABEL, REPEATED = "row without a path", "row without a label", "repeated row"


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Labeled images of a table.

    Attributes:
        names: Paths of the images as in the table; if it holds the images, row indices like "#0".
        read: Function that returns the encoded bytes of an image by its index; raises OSError if it
            cannot be read.
        stamps: Stamps of the images' content; empty if there is no file.
        classes: Names of the classes, in natural order.
        labels: Class of each image.
        parts: Split of each image: "train", "validation", "test" or "".
        groups: Number of the group of each image; None if there is no such column.
        group_names: Name of each group by its number; empty for an image without a group.
        skipped: Number of rows that are not labeled images, by kind.
        columns: Names of the columns by role.
    """

    names: tuple[str, ...]
    read: Callable[[int], bytes]
    stamps: tuple[str, ...]
    classes: tuple[str, ...]
    labels: list[int]
    parts: list[str]
    groups: list[int] | None
    group_names: tuple[str, ...]
    skipped: Counter[str]
    columns: Mapping[str, str]


def is_table(source: Any) -> bool:
    """Whether a source is a table."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = expanded(source)
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read_table(path: Path, columns: Mapping[str, str]) -> Table:
    """Read a CSV file, with a header, in UTF-8 and separated by ``,;|`` or tabs, or a Parquet file.

    Paths are relative to the table's own folder; a Parquet file may hold the images instead. Rows
    without a path or a label, and rows that repeat another, are counted and left out. NaN in a cell
    is no value.

    Args:
        path: File to read.
        columns: Names of columns by role: ``path``, ``label``, ``split``, ``group``. Other columns
            are found by usual names, unless "-" stands for none.

    Raises:
        SourceError: The table cannot be read, lacks a column, or contradicts itself.
        MissingExtraError: The table is a Parquet file, and pyarrow is not installed.
    """
    is_parquet = path.suffix.lower() == parquet.SUFFIX
    header = [name.strip() for name in (parquet.header(path) if is_parquet else _header(path))]
    at = _find_columns(path, header, columns)
    kept: dict[str, tuple[str, str, str]] = {}
    images: dict[str, bytes] = {}
    skipped: Counter[str] = Counter()
    for number, row in parquet.rows(path, at) if is_parquet else _rows(path, at):
        image, label, part, group = (_present(row.get(use, "")) for use in NAMES)
        if not image or not label:
            skipped[NO_LABEL if image else NO_PATH] += 1
            continue
        if isinstance(image, bytes):
            content, image = image, f"#{number - 1}"
            images[image] = content
        texts = [_text(path, number, cell) for cell in (label, part, group)]
        said = texts[0], _part(path, number, texts[1]), texts[2]
        skipped[REPEATED] += image in kept
        if kept.setdefault(image, said) != said:
            raise SourceError(
                f"An image must be listed once, but row {number} of {path} says of {image} "
                f"{_words(said)}, and an earlier row {_words(kept[image])}. Leave one of them out."
            )
    if not kept:
        raise SourceError(
            f"{path} must hold a row with a path and a label for each image, but has none "
            f"(skipped: {tally(skipped) or 'nothing'}). Fill it, or name other columns with "
            "--columns."
        )
    return _table(path, kept, images, +skipped, {use: header[place] for use, place in at.items()})


def _present(cell: Cell) -> Cell:
    """Return a cell, empty if its text says that the value is missing."""
    return "" if isinstance(cell, str) and cell.lower() in MISSING else cell


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and fields of each line of a CSV file that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter=max(DELIMITERS, key=first.count))
            yield from ((lines.line_num, fields) for fields in lines if any(fields))
    except UnicodeDecodeError:
        raise SourceError(
            f"{path} must be a table in UTF-8, but is not. Save it as UTF-8."
        ) from None
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from None


def _header(path: Path) -> list[str]:
    for _, names in _lines(path):
        return names
    raise SourceError(f"{path} must hold a header and a row for each image, but is empty.")


def _rows(path: Path, at: Mapping[str, int]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each row of a CSV file, and its cells by role."""
    lines = _lines(path)
    _, names = next(lines)
    for number, fields in lines:
        if any(fields[len(names) :]):
            raise SourceError(
                f"A row has a field for each of the {len(names)} columns, but row {number} of "
                f"{path} has {len(fields)}. Put a field that contains the separator in quotes."
            )
        yield (
            number,
            {use: fields[i].strip() if i < len(fields) else "" for use, i in at.items()},
        )


def _find_columns(path: Path, names: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Find the index of each column that has a role."""
    lower = [name.lower() for name in names]
    if unknown := [use for use in columns if use not in NAMES]:
        raise SourceError(
            f"`columns` names what a column is for, which is {', '.join(NAMES)}, but got "
            f"{unknown[0]!r}.{nearest(unknown[0], NAMES)}"
        )
    absent = {use for use, name in columns.items() if name == NONE not in names}
    named = {use: name for use, name in columns.items() if use not in absent}
    if missing := [name for name in named.values() if name not in names]:
        raise SourceError(
            f"{path} has no column {missing[0]!r}.{nearest(missing[0], names)} Its columns are: "
            f"{', '.join(names)}."
        )
    found = {use: names.index(name) for use, name in named.items()}
    for use, usual in NAMES.items():
        place = next((lower.index(name) for name in usual if name in lower), None)
        if place is not None and place not in found.values() and use not in absent:
            found.setdefault(use, place)
    if lacking := [use for use in NEEDED if use not in found]:
        raise SourceError(
            f"{path} must have columns for path and label, but none for {' and '.join(lacking)} "
            f"was found among: {', '.join(names)}. Name it, such as --columns "
            f"{','.join(f'{use}=NAME' for use in lacking)}."
        )
    return found


def _text(path: Path, number: int, cell: Cell) -> str:
    if isinstance(cell, bytes):
        raise SourceError(
            f"Labels, parts and groups are texts or numbers, but row {number} of {path} has bytes "
            f"that are no text in UTF-8: {cell[:MOST_SHOWN]!r}. Save them as text, or name the "
            "column that is meant, as in --columns label=NAME."
        )
    return cell


def _part(path: Path, number: int, text: str) -> str:
    if text and text.lower() not in PARTS:
        raise SourceError(
            f"A part is train, val or test, but row {number} of {path} has {text!r}. If this "
            "column is not meant for that, name the one that is, as in --columns split=NAME, or "
            "rename it."
        )
    return PARTS[text.lower()] if text else ""


def _words(said: tuple[str, str, str]) -> str:
    label, part, group = said
    return f"`{label}`" + (f" in {part}" if part else "") + (f" of group {group}" if group else "")


def _table(
    path: Path,
    kept: Mapping[str, tuple[str, str, str]],
    images: Mapping[str, bytes],
    skipped: Counter[str],
    columns: Mapping[str, str],
) -> Table:
    names = tuple(kept)
    labels, parts, groups = zip(*kept.values(), strict=True)
    classes = tuple(sorted(set(labels), key=natural))
    number = {label: index for index, label in enumerate(classes)}
    files = [path.parent / name.replace("\\", os.sep) for name in names]
    stamps = [
        f"{len(images[name])},{zlib.crc32(images[name])}" if name in images else _stamp(file)
        for name, file in zip(names, files, strict=True)
    ]
    if not any(stamps):
        raise SourceError(
            f"Paths in a table are relative to its own folder, but of the {len(names):,} in {path} "
            f"none is there: {listed(names)}. Move the table to where they begin."
        )

    numbers, group_names = _groups(path, groups, parts, columns) if any(groups) else (None, ())

    def read(index: int) -> bytes:
        content = images.get(names[index])
        return _read(files[index], stamps[index]) if content is None else content

    return Table(
        names=names,
        read=read,
        stamps=tuple(stamps),
        classes=classes,
        labels=[number[label] for label in labels],
        parts=list(parts),
        groups=numbers,
        group_names=group_names,
        skipped=skipped,
        columns=columns,
    )


def _read(path: Path, stamp: str) -> bytes:
    try:
        return read_listed(path, stamp, follow=True)
    except ValueError:
        raise OSError("no file has such a name") from None


def _stamp(path: Path) -> str:
    try:
        return stamp_of(path.stat())
    except (OSError, ValueError):  # a name with a null byte
        return ""


def _groups(
    path: Path, groups: Sequence[str], parts: Sequence[str], columns: Mapping[str, str]
) -> tuple[list[int], tuple[str, ...]]:
    """Number and name the groups; an image without a group gets its own, without a name."""
    part_of: dict[str, str] = {}
    for group, part in zip(groups, parts, strict=True):
        if group and part_of.setdefault(group, part) != part:
            stated = sorted({part_of[group] or "none", part or "none"})
            raise SourceError(
                f"Images of a group (column {columns['group']}) must all be in one part, but in "
                f"{path} group {group} is in {' and '.join(stated)}. Mend the split; or leave it "
                "out by --columns split=-, so that one is made that keeps groups together; or, if "
                f"they need not be kept together, leave the groups out by {UNGROUPED}."
            )
    own = (f"\0{index}" for index in range(len(groups)))
    names, numbers = np.unique([g or next(own) for g in groups], return_inverse=True)
    return numbers.tolist(), tuple("" if name[0] == "\0" else str(name) for name in names)
