"""Shortcuts in words: clues to where an image comes from that give its class away."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.examine import Examined, Kind
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding
from tunesmith.screening.looks import backgrounds
from tunesmith.screening.shortcuts import FEWEST, Shortcut, can_ask, find_shortcuts

Places = NDArray[np.int64]

# Clue -> AUC up to which it is harmless: what a program writes should say nothing about the class,
# while colors of the border and of the background depend on the motif as well.
FORMAT, METADATA = "format of the file", "metadata of the file"
BORDER, BACKGROUND = "color of the border", "color of the background"
CLUES = {
    FORMAT: 0.6,
    METADATA: 0.6,
    "size in pixels": 0.75,
    BORDER: 0.98,
    BACKGROUND: 0.98,
}
# Clue -> one that says less when both reveal the same class: each format has metadata of its own,
# and a background mostly reaches the border.
IMPLIED = {FORMAT: METADATA, BORDER: BACKGROUND}
MOST_KINDS = 32  # of metadata, looked at as clues

CHEAT = "A model can cheat here, score well, and fail on images that come from elsewhere."
ALIKE = f"{CHEAT} Make all classes the same in this respect."
# What a model does not see, it cannot cheat by; but it tells of what it does see.
CHEATS = {
    METADATA: (
        "A model does not see it, but files of different origin mostly differ in what it sees too. "
        f"{CHEAT} Take the images of all classes from the same places; to remove the metadata "
        "would only hide this."
    )
}
# What JPEG (by markers), PNG and WebP call kinds of metadata, and kinds of findings -> in words.
NAMES = {
    "E0": "JFIF, the usual head of a JPEG",
    "E1": "XMP",
    "E2": "a color profile",
    "ED": "data of an image editor (Photoshop, IPTC)",
    "EE": "data of an image editor (Adobe)",
    "FE": "a comment",
    "EXIF": "Exif",
    "eXIf": "Exif",
    "XMP ": "XMP",
    "ICCP": "a color profile",
    "iCCP": "a color profile",
    "gAMA": "a brightness curve (gAMA)",
    "pHYs": "a size in print (pHYs)",
    "sRGB": "a color space (sRGB)",
    "tEXt": "text",
    "zTXt": "text",
    "iTXt": "text",
    "tIME": "the time of the last change",
    Kind.HIDDEN: "a hidden program, script, archive or document",
    Kind.BEHIND: "other bytes behind the image",
    Kind.NAME: "a name that implies another format",
    Kind.ANIMATED: "more than one image",
    Kind.CMYK: "colors of print (CMYK)",
    Kind.DEEP: "values of more than 8 bits",
    Kind.POSITION: "the position where it was taken",
    Kind.SERIAL: "a camera's serial number",
}


def clues(data: Data, rows: Places) -> Sequence[Shortcut] | None:
    """Find clues that reveal a class.

    Args:
        data: The images.
        rows: Indices of the images to ask: of copies one each.

    Returns:
        The clues; None if all classes are too small.
    """
    labels_R, classes = data.labels[rows], len(data.source.classes)
    if not can_ask(labels_R, classes):
        return None
    given = {name: [values[rows] for values in kinds] for name, kinds in _values(data).items()}
    found = find_shortcuts(given, labels_R, classes, allowed=CLUES)
    implied = {(IMPLIED.get(clue.clue), clue.label) for clue in found}
    return [clue for clue in found if (clue.clue, clue.label) not in implied]


def shortcuts(data: Data, found: Sequence[Shortcut] | None) -> Iterator[Finding | str]:
    """Report shortcuts: clues that reveal a class. None means that all classes are too small."""
    asked = f"Clues that give a class away ({', '.join(CLUES)})"
    if found is None:
        yield (
            f"{asked}: not looked at: fewer than {2 * FEWEST} images a class, of copies and of "
            "what the source groups one each."
        )
    elif not found:
        yield f"{asked}: none."
    for clue in found or ():
        yield Finding(
            kind="shortcut",
            weight="serious",
            title=f"“{data.source.classes[clue.label]}” can be guessed from the {clue.clue}",
            meaning=(
                f"Without a look at what an image shows: of an image of this class and one of any "
                f"other, the {clue.clue} alone tells which is which in {100 * clue.auc:.0f} % of "
                f"cases (guessing: 50 %).{_differs(data, clue)} {CHEATS.get(clue.clue, ALIKE)}"
            ),
        )


def _differs(data: Data, clue: Shortcut) -> str:
    """Name the content in which the files of a class differ most from all others, with shares."""
    if clue.clue not in {FORMAT, METADATA}:
        return ""
    own, other = Counter[str](), Counter[str]()
    is_own_N = data.labels == clue.label
    for is_own, each in zip(is_own_N.tolist(), data.loaded.examined, strict=True):
        (own if is_own else other).update(_contents(each, clue.clue))
    sizes = is_own_N.sum(), (~is_own_N).sum()
    found = [(what, own[what] / sizes[0], other[what] / sizes[1]) for what in sorted(own | other)]
    # Of those that differ as much, what the class has says more than what it lacks.
    most, *shares = max(found, key=lambda each: (abs(each[1] - each[2]), each[1]))
    mine, theirs = map(_share, shares)
    return f" What differs most: {mine} of this class have {most}, {theirs} of the others."


def _contents(examined: Examined, clue: str) -> set[str]:
    """Name the format of a file, or the kinds of its metadata."""
    if clue == FORMAT:
        return {f"the format {examined.format}"}
    return {NAMES.get(kind, f"“{kind}”") for kind in _metadata(examined)}


def _share(share: float) -> str:
    """Write a share of images; only none and all are called so."""
    return f"{100 * share:.1f} %" if 0 < share < 1 else "all" if share else "none"


def _values(data: Data) -> dict[str, list[NDArray[Any]]]:
    """Collect clues to where an image comes from, rather than to what it shows."""
    pixels, shapes_N2 = data.loaded.pixels, data.loaded.shapes
    formats = [each.format or "" for each in data.loaded.examined] or [""] * len(pixels)
    sizes = [f"{width} x {height}" for height, width in shapes_N2]
    border = np.concatenate(
        [pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1
    )
    return {
        FORMAT: [np.array(formats)],
        METADATA: [_has_metadata(data)],
        "size in pixels": [np.array(sizes), _ranges(shapes_N2)],
        BORDER: [border.mean(axis=1)],
        BACKGROUND: [backgrounds(pixels)],
    }


def _metadata(examined: Examined) -> set[str]:
    """Return the kinds of things that a file holds beside its image."""
    return {*examined.metadata, *(found.kind for found in examined.findings)}


def _has_metadata(data: Data) -> NDArray[np.int64]:
    """Whether each file holds the most frequent kinds of things beside images, ``[N, V]``."""
    told = [_metadata(each) for each in data.loaded.examined]
    kinds = [kind for kind, _ in Counter(kind for each in told for kind in each).most_common()]
    rows = [[kind in each for kind in kinds[:MOST_KINDS]] for each in told]
    return np.array(rows, np.int64).reshape(len(data.labels), -1)


def _ranges(shapes_N2: NDArray[np.int64]) -> NDArray[np.float64]:
    """Height, width, area and aspect ``[N, 4]``.

    A range of sizes can reveal a class, even if no two sizes are equal.
    """
    height_N, width_N = shapes_N2.T.astype(np.float64)
    ranges_N4: NDArray[np.float64] = np.stack(
        [height_N, width_N, height_N * width_N, width_N / height_N], axis=1
    )
    return ranges_N4
