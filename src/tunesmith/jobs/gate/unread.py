"""What of the data is not learned from: files that cannot be read, rows without a label."""

import numpy as np

from tunesmith.core.words import counted, tally
from tunesmith.data.clean import MOST_BAD
from tunesmith.data.folders import LINK, LINKED, NOT_READ, listed
from tunesmith.data.imageless import LONE
from tunesmith.data.source import LEAST, Given, Source
from tunesmith.data.tables import NO_LABEL, NO_PATH
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding, Item

# Labels by which programs mark a missing value; "none" may well be a class.
PLACEHOLDERS = {"NA", "N/A", "n/a", "#N/A", "null", "NULL", "Null", "None"}
FILL = "Fill in what is missing."
FOLLOW = "Links are not followed: copy the files to their places, or pass a table of their paths."
# Kind of what is left aside, although it seems meant to be learned -> what to do about it.
WANTED = {
    NO_LABEL: FILL,
    NO_PATH: FILL,
    NOT_READ: "Convert the files.",
    LINK: FOLLOW,
    LINKED: FOLLOW,
    LONE: "A folder beside those of classes is no class without images: add some, or remove it.",
}


def missing(source: Source) -> Finding | None:
    """Report rows, files and folders that seem to be meant as labeled images, but are none."""
    advice = {
        kind: way_out
        for kind in source.skipped
        for wanted, way_out in WANTED.items()
        if kind == wanted or kind.startswith(f"{wanted} (")
    }
    if not advice:
        return None
    found = {kind: source.skipped[kind] for kind in advice}
    return Finding(
        kind="missing",
        weight="doubtful",
        title=f"{tally(found)} {'is' if sum(found.values()) == 1 else 'are'} left aside",
        meaning=" ".join(["Nothing is learned from them.", *dict.fromkeys(advice.values())]),
    )


def unnamed(source: Source) -> Finding | None:
    """Report classes of a table whose names often stand for a missing label."""
    names = [f"“{name}”" for name in source.classes if name in PLACEHOLDERS]
    if not names or not source.columns:
        return None
    count = counted(len(names), "class", "classes", verb=("is", "are"))
    return Finding(
        kind="unnamed",
        weight="doubtful",
        title=f"{count} called {listed(names)}",
        meaning=(
            "Such a name often stands for a missing label. If it does here, leave those cells of "
            "the table empty: rows without a label are left aside."
        ),
    )


def unreadable(data: Data) -> Finding | str:
    """Report files that cannot be decoded."""
    source, rejected = data.source, data.loaded.rejected
    if not rejected:
        return "Files that cannot be read: every one could be decoded."
    stops = len(rejected) > MOST_BAD * len(source.names)
    why = f" That is more than {100 * MOST_BAD:.0f} % of all: training stops until they are mended."
    return Finding(
        kind="unreadable",
        weight="serious" if stops else "doubtful",
        title=f"{counted(len(rejected), 'file')} cannot be read",
        meaning=f"They are left out, never replaced by something else.{why if stops else ''}",
        items=[
            Item(file=bad.name, label=source.classes[source.labels[bad.index]], note=bad.reason)
            for bad in rejected
        ],
        is_left_out=True,
        stops=stops,
    )


def emptied(data: Data) -> Finding | None:
    """Report classes of which too few images can be decoded to learn from and to test on."""
    source, rejected = data.source, data.loaded.rejected
    count = len(source.classes)
    bad_K = np.bincount([source.labels[bad.index] for bad in rejected], minlength=count)
    left_K = np.bincount(data.labels, minlength=count)
    learned_K = np.bincount(data.labels[~data.tested], minlength=count)
    gone = np.flatnonzero(((left_K < LEAST) | (learned_K == 0)) & (bad_K > 0))
    if not len(gone):
        return None
    of = listed([f"“{source.classes[k]}”" for k in gone])
    is_none = not learned_K[gone].any()
    return Finding(
        kind="emptied",
        weight="serious",
        title=f"No image of {of} can be read" if is_none else f"Too few images of {of} can be read",
        meaning=(
            f"Every class needs {LEAST} images, one to learn from and one to test on: training "
            "stops until their files are mended or replaced, or the classes taken out of the data."
        ),
        stops=True,
    )


def untested(data: Data) -> Finding | None:
    """Report a given test part of which nothing can be decoded."""
    if data.tested.any() or not (data.source.given == Given.TEST).any():
        return None
    return Finding(
        kind="untested",
        weight="serious",
        title="No image of the test part can be read",
        meaning=(
            "A model is tested on the test part that is given: training stops until its files are "
            "mended or replaced, or the part taken out of the data, and another is put aside."
        ),
        stops=True,
    )
