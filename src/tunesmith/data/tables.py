"""Tables of images: a path and a label in each row, perhaps a part and a group."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.core.words import nearest
from tunesmith.data.folders import PARTS, listed, natural

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
# What a column is for -> the names that it is found by; what `columns` says comes first.
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
LOOKED_FOR = 20  # paths that must not all be missing


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Labeled files.

    Attributes:
        paths: Of the files, as they can be opened.
        names: As the table has them.
        stamps: Of the files' content: size and time of change; empty where there is no file.
        classes: Naturally sorted.
        labels: Class of each.
        parts: "train", "validation", "test" or "" for each.
        groups: Number of each one's group; None where there is no such column.
        skipped: Rows that are no labeled file, counted by kind.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    stamps: tuple[str, ...]
    classes: tuple[str, ...]
    labels: list[int]
    parts: list[str]
    groups: list[int] | None
    skipped: Counter[str]


def read_table(path: Path, columns: Mapping[str, str]) -> Table:
    """Read a CSV file with a header, in UTF-8, its fields separated by ``,``, ``;``, ``|`` or tabs.

    Paths are relative to the table's own folder. Rows without a path or a label are counted and
    left out, and so are rows that say the same again.

    Args:
        path: The file.
        columns: Names of columns by what they are for: ``path``, ``label``, ``split``, ``group``.
            What is not named is found by usual names.

    Raises:
        SourceError: It cannot be read, lacks a column, or contradicts itself.
    """
    rows = list(_rows(path))
    if not rows:
        raise SourceError(f"{path} must hold a header and a row for each image, but is empty.")
    header, *body = rows
    at = _find_columns(path, header, columns)
    kept: dict[str, tuple[str, str, str]] = {}
    skipped: Counter[str] = Counter()
    for number, row in enumerate(body, start=2):
        values = {use: row[place].strip() if place < len(row) else "" for use, place in at.items()}
        name, label = values["path"], values["label"]
        if not name or not label:
            skipped["row without a path" if not name else "row without a label"] += 1
            continue
        said = label, _part(path, number, values.get("split", "")), values.get("group", "")
        skipped["row that repeats another"] += name in kept
        if kept.setdefault(name, said) != said:
            raise SourceError(
                f"An image must be listed once, but row {number} of {path} says of {name} "
                f"{_words(said)}, and an earlier row {_words(kept[name])}. Leave one of them out."
            )
    return _table(path, kept, skipped, grouped="group" in at)


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            yield from (row for row in csv.reader(file, delimiter=delimiter) if any(row))
    except UnicodeDecodeError:
        raise SourceError(
            f"{path} must be a table in UTF-8, but is not. Save it as UTF-8."
        ) from None
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from None


def _find_columns(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Where the columns are that have a use."""
    names = [name.strip() for name in header]
    lower = [name.lower() for name in names]
    if unknown := [use for use in columns if use not in NAMES]:
        raise SourceError(
            f"`columns` names what a column is for, which is {', '.join(NAMES)}, but got "
            f"{unknown[0]!r}.{nearest(unknown[0], NAMES)}"
        )
    if missing := [name for name in columns.values() if name not in names]:
        raise SourceError(
            f"{path} has no column {missing[0]!r}.{nearest(missing[0], names)} Its columns are: "
            f"{', '.join(names)}."
        )
    found = {use: names.index(name) for use, name in columns.items()}
    for use, usual in NAMES.items():
        place = next((lower.index(name) for name in usual if name in lower), None)
        if place is not None and place not in found.values():
            found.setdefault(use, place)
    if lacking := [use for use in NEEDED if use not in found]:
        raise SourceError(
            f"{path} must have columns for path and label, but none for {' and '.join(lacking)} "
            f"was found among: {', '.join(names)}. Name it, such as --columns "
            f"{','.join(f'{use}=NAME' for use in lacking)}."
        )
    return found


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
    path: Path, kept: Mapping[str, tuple[str, str, str]], skipped: Counter[str], *, grouped: bool
) -> Table:
    names = tuple(kept)
    paths = tuple(path.parent / name.replace("\\", os.sep) for name in names)
    stamps = tuple(map(_stamp, paths))
    first = [name for name, stamp in zip(names, stamps[:LOOKED_FOR], strict=False) if not stamp]
    if names and len(first) == len(stamps[:LOOKED_FOR]):
        raise SourceError(
            f"Paths in a table are relative to its own folder, but of the first {len(first)} in "
            f"{path} none is there: {listed(first)}. Move the table to where they begin."
        )
    labels = [label for label, _, _ in kept.values()]
    classes = tuple(sorted(set(labels), key=natural))
    number = {label: index for index, label in enumerate(classes)}
    parts = [part for _, part, _ in kept.values()]
    return Table(
        paths=paths,
        names=names,
        stamps=stamps,
        classes=classes,
        labels=[number[label] for label in labels],
        parts=parts,
        groups=_groups(path, [group for _, _, group in kept.values()], parts) if grouped else None,
        skipped=+skipped,
    )


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except (OSError, ValueError):  # a name with a null byte
        return ""
    return f"{found.st_size},{found.st_mtime_ns}"


def _groups(path: Path, groups: Sequence[str], parts: Sequence[str]) -> list[int]:
    """Number the groups; an image without one is a group of its own."""
    part_of: dict[str, str] = {}
    for group, part in zip(groups, parts, strict=True):
        if group and part_of.setdefault(group, part) != part:
            stated = sorted({part_of[group] or "none", part or "none"})
            raise SourceError(
                f"Images of a group must all be in one part, but in {path} group {group} is in "
                f"{' and '.join(stated)}. Mend the split, or leave that column out: a split that "
                "keeps groups together is then made."
            )
    own = (f"\0{index}" for index in range(len(groups)))
    _, numbers = np.unique([g or next(own) for g in groups], return_inverse=True)
    return [int(number) for number in numbers]
