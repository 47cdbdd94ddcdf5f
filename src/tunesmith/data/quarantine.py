"""The list of images that are left out: written for a person to edit, and read again."""

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.data.folders import listed
from tunesmith.data.source import Source

FILE = "quarantine.csv"
COLUMNS = ("file", "label", "kind", "reason")


def to_csv(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Write file, label, kind and reason of each image as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def without_listed(source: Source, path: Path) -> Source:
    """The data without the images that a list names in its column "file".

    Raises:
        SourceError: The list cannot be read, has no such column, or names an image that is not
            there.
    """
    files = _files(path)
    place_of = {name: place for place, name in enumerate(source.names)}
    if unknown := [file for file in files if file not in place_of]:
        raise SourceError(
            f"A list of images to leave out names images of the data, but {len(unknown):,} of "
            f"{len(files):,} in {path} are not in {source.name}: {listed(unknown)}."
            " Was it made of other data?"
        )
    out = np.isin(np.arange(len(source.names)), [place_of[file] for file in files])
    kept = np.flatnonzero(~out)
    return replace(
        source,
        names=tuple(source.names[place] for place in kept),
        labels=source.labels[kept],
        given=source.given[kept],
        read=lambda index: source.read(int(kept[index])),
        skipped={**source.skipped, "listed to be left out": int(out.sum())},
        identity=hashlib.sha256(source.identity.encode() + out.tobytes()).hexdigest(),
        groups=None if source.groups is None else source.groups[kept],
    )


def _files(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "file" not in (rows.fieldnames or ()):
                raise SourceError(
                    f"A list of images to leave out has a column named file, but {path} has: "
                    f"{', '.join(rows.fieldnames or ()) or 'nothing'}. Pass one that "
                    "`tunesmith check` wrote."
                )
            return [row["file"] for row in rows if row["file"]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(
            f"The list of images to leave out, {path}, cannot be read: {reason}. Pass the "
            f"{FILE} that `tunesmith check` or `tunesmith fit` wrote."
        ) from None
