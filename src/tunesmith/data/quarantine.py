"""The CSV list of excluded images, which the user may edit."""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.files import open_plain
from tunesmith.core.words import writable
from tunesmith.data.folders import listed
from tunesmith.data.source import LEAST, Given, Source
from tunesmith.data.tables import DELIMITERS

FILE = "quarantine.csv"
COLUMNS = ("file", "label", "kind", "reason")
FORMULA = re.compile(r"'*[=+\-@]")  # start of a spreadsheet formula, after any apostrophes of ours
# Names of images are composed Unicode; another program may have decomposed those in a list.
composed = partial(unicodedata.normalize, "NFC")


def shielded(cell: str) -> str:
    """Escape a cell that a spreadsheet would take for a formula, since a name may start like one.

    Example:
        >>> shielded("=1+1.png"), shielded("1=1.png"), bare(shielded("=1+1.png"))
        ("'=1+1.png", '1=1.png', '=1+1.png')

    """
    return f"'{cell}" if FORMULA.match(cell) else cell


def bare(cell: str) -> str:
    """Undo `shielded`; a cell that it did not escape is unchanged."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def to_csv(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Write file, label, kind and reason of each image as CSV with a header.

    Names that are invalid Unicode, as in old file systems, are escaped.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([shielded(cell) for cell in row] for row in rows)
    return writable(text.getvalue())


def without_listed(source: Source, path: Path) -> Source:
    """Exclude the images that a list names in its column "file".

    If several images have the same name in composed Unicode, all of them are excluded.

    Raises:
        SourceError: The list cannot be read, has no such column, names an image that does not
            exist, or leaves too few images of a class.
    """
    files = _files(path)
    if not files:
        return source
    names, chosen = [composed(name) for name in source.names], set(files)
    known = set(names)
    if unknown := [file for file in files if file not in known]:
        raise SourceError(
            f"A list of images to leave out names images of the data, but {len(unknown):,} of "
            f"{len(files):,} in {path} are not in {source.name}: {listed(unknown)}."
            " Was it made of other data?"
        )
    out = np.array([name in chosen for name in names], bool)
    _refuse_emptied(source, out, path)
    return replace(
        source.subset(np.flatnonzero(~out)),
        skipped={**source.skipped, "image listed to be left out": int(out.sum())},
        identity=hashlib.sha256(source.identity.encode() + out.tobytes()).hexdigest(),
    )


def _refuse_emptied(source: Source, is_out_N: NDArray[np.bool_], path: Path) -> None:
    """Name the list as the cause if it leaves too few images of a class to learn from.

    Raises:
        SourceError: It does.
    """
    is_learned_N = np.isin(source.given, (Given.NONE, Given.TRAIN))
    left_K, taken_K = (
        np.bincount(source.labels[is_learned_N & each_N], minlength=len(source.classes))
        for each_N in (~is_out_N, is_out_N)
    )
    gone = np.flatnonzero((left_K < LEAST) & (taken_K > 0))
    if len(gone):
        raise SourceError(
            f"Every class needs {LEAST} images to learn from at least, but what {path} lists as to "
            f"be left out leaves fewer of: {listed([source.classes[k] for k in gone])}. Take what "
            "is good out of a copy of that list, and pass the copy to `tunesmith fit` with "
            "--quarantine; or take the whole class out of the data."
        )


def _files(path: Path) -> list[str]:
    """Read the names in a list, which a spreadsheet may have saved with semicolons or tabs."""
    try:
        with open_plain(path, follow=True) as (file, _):
            text = file.read().decode("utf-8-sig")
        delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        if "file" not in (rows.fieldnames or ()):
            raise SourceError(
                f"A list of images to leave out has a column named file, but {path} has: "
                f"{', '.join(rows.fieldnames or ()) or 'nothing'}. Pass one that "
                "`tunesmith check` wrote."
            )
        return [composed(bare(row["file"])) for row in rows if row["file"]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SourceError(
            f"The list of images to leave out, {path}, cannot be read: {reason}. Pass the "
            f"{FILE} that `tunesmith check` or `tunesmith fit` wrote."
        ) from None
