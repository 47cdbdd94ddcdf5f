"""Results of a check of the data, as values and as a file for programs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import writable

Weight = Literal["serious", "doubtful", "notable"]
FORMAT = 1
UNSOUGHT = ": not looked "  # in each sentence on what was not looked for, or not looked at
NO_NEAR_COPIES = f"Near copies{UNSOUGHT}for, there was no time."  # used by gate and report


@final
@dataclass(frozen=True, kw_only=True)
class Item:
    """An image that a finding is about.

    Attributes:
        file: File name in the source.
        label: Class name.
        note: Note about the image, or "".
        image: uint8 ``(H, W, C)`` to show, or None.
        twin: The image that it is a copy of, or None.
        is_tested: Whether it is in a given test set, of which nothing is ever left out.
    """

    file: str
    label: str
    note: str = ""
    image: NDArray[np.uint8] | None = None
    twin: "Item | None" = None
    is_tested: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about the data that is worth knowing.

    Attributes:
        kind: Kind of finding, one word for programs.
        weight: "serious" if a score or a model would be wrong, "doubtful" if a person should look,
            "notable" for all else.
        title: What was found, in a few words, with its number.
        meaning: Why it matters and what is done about it, in sentences.
        items: Images that it is about, the most important first.
        is_left_out: Whether `fit` leaves these images out by itself.
        is_suspect: Whether `fit` leaves them out on request; either way quarantine.csv lists them.
        stops: Whether `fit` refuses the data because of it.
    """

    kind: str
    weight: Weight
    title: str
    meaning: str
    items: Sequence[Item] = ()
    is_left_out: bool = False
    is_suspect: bool = False
    stops: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class ClassLook:
    """Statistics of a class.

    Attributes:
        name: Class name.
        counts: Number of images, by split.
        looks: Median of each measure of how images look.
        apart: Distance between the two groups that it falls into, by name of the network; None if
            it has too few images.
        by_part: As ``looks``, of the images of each split alone.
    """

    name: str
    counts: Mapping[str, int]
    looks: Mapping[str, float]
    apart: Mapping[str, float | None] = field(default_factory=dict)
    by_part: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@final
@dataclass(frozen=True, kw_only=True)
class Tried:
    """A pattern that was found in the data, added to images without it.

    Attributes:
        title: Title of the finding.
        wanted: Class that the pattern indicates; None if its images are of many classes.
        images: Number of images that it was added to.
        success: By model, the share of them that it then assigns to that class; if there is none,
            the share whose prediction changes.
    """

    title: str
    wanted: str | None
    images: int
    success: Mapping[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class Checked:
    """All results of a check.

    Attributes:
        title: Name of the data.
        images: How many there are, unreadable ones included.
        classes: Statistics of each class.
        findings: Findings, the most serious first.
        fine: Checks that found nothing, and what was not looked for, one sentence each.
        skipped: Files that are no images, counted by kind.
        columns: Names of a table's columns by role; empty for other data.
        seconds: Duration of each step.
        versions: Versions of the packages that were used.
        tried: Effects on models of the patterns that were found.
    """

    title: str
    images: int
    classes: Sequence[ClassLook]
    findings: Sequence[Finding]
    fine: Sequence[str]
    skipped: Mapping[str, int]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    tried: Sequence[Tried] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


def sought(said: Iterable[str]) -> list[str]:
    """Keep the sentences on what was looked for."""
    return [sentence for sentence in said if UNSOUGHT not in sentence]


def unsought(said: Iterable[str]) -> list[str]:
    """Keep the sentences on what was not looked for.

    Example:
        >>> unsought(["Copies: none.", "Cropped copies: not looked for in such images."])
        ['Cropped copies: not looked for in such images.']

    """
    return [sentence for sentence in said if UNSOUGHT in sentence]


def each_pair_once(items: Iterable[Item]) -> list[Item]:
    """Drop the second of two items that are each other's twins, for display."""
    kept, seen = [], set()
    for item in items:
        pair = frozenset({item.file, item.twin.file}) if item.twin else None
        if pair is None or pair not in seen:
            kept.append(item)
        seen.add(pair)
    return kept


def quarantine_rows(
    findings: Sequence[Finding], *, suspects: bool
) -> Iterator[tuple[str, str, str, str]]:
    """Yield file, label, kind and reason of each image to leave out, once.

    What has no reason of its own has that of its finding.

    Args:
        findings: Findings, the most serious first.
        suspects: Whether to include suspects, which only a person can judge.
    """
    seen = set()
    for finding in findings:
        if not (finding.is_left_out or (suspects and finding.is_suspect)):
            continue
        for item in finding.items:
            if item.file not in seen and not item.is_tested:
                seen.add(item.file)
                yield item.file, item.label, finding.kind, item.note or finding.title


def to_json(checked: Checked) -> str:
    """Convert the results to JSON for programs; images are named, not included.

    Names that are invalid Unicode, as in old file systems, are escaped.
    """
    content = {
        "format": FORMAT,
        "source": checked.title,
        "images": checked.images,
        "classes": [asdict(c) for c in checked.classes],
        "findings": [
            {
                "kind": f.kind,
                "weight": f.weight,
                "title": f.title,
                "meaning": f.meaning,
                "left_out": f.is_left_out,
                "suspect": f.is_suspect,
                "stops": f.stops,
                "items": [_item(item) for item in f.items],
            }
            for f in checked.findings
        ],
        "fine": sought(checked.fine),
        "unsought": unsought(checked.fine),
        "tried": [asdict(each) for each in checked.tried],
        "skipped": dict(checked.skipped),
        "columns": dict(checked.columns),
        "seconds": {name: round(value, 3) for name, value in checked.seconds.items()},
        "versions": dict(checked.versions),
    }
    return writable(json.dumps(content, indent=1, ensure_ascii=False), "\\\\")


def _item(item: Item) -> dict[str, Any]:
    twin = {} if item.twin is None else {"twin": _item(item.twin)}
    return {"file": item.file, "label": item.label, "note": item.note, **twin}
