"""What a look at the data found, by value, and as a file for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

Weight = Literal["serious", "doubtful", "notable"]
FORMAT = 1
NO_NEAR_COPIES = "Near copies: not looked for, there was no time."  # said, and asked for, of a look


@final
@dataclass(frozen=True, kw_only=True)
class Item:
    """An image that a finding is about.

    Attributes:
        file: Its name in the source.
        label: Its class.
        note: What is the matter with it, or "".
        image: uint8 ``(H, W, C)`` to show, or None.
        twin: The image that it is a copy of, or None.
        is_tested: Whether it is of a given test part, which nothing is ever left out of.
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
        kind: One word for programs.
        weight: "serious" where a score or a model would be wrong, "doubtful" where a person should
            look, "notable" for all else.
        title: What was found, in a few words, with its number.
        meaning: Why it matters and what is done about it, in sentences.
        items: Images that it is about, the most important first.
        is_left_out: Whether `fit` leaves these images out by itself.
        is_suspect: Whether `fit` leaves them out where asked to; either way quarantine.csv lists
            them.
    """

    kind: str
    weight: Weight
    title: str
    meaning: str
    items: Sequence[Item] = ()
    is_left_out: bool = False
    is_suspect: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class ClassLook:
    """A class in numbers.

    Attributes:
        name: Its name.
        counts: Images by part.
        looks: Medians of how they look.
        apart: How far apart the two groups stand that it falls into, by the network that looked.
    """

    name: str
    counts: Mapping[str, int]
    looks: Mapping[str, float]
    apart: Mapping[str, float] = field(default_factory=dict)


@final
@dataclass(frozen=True, kw_only=True)
class Tried:
    """A pattern that was found in the data, put on images that do not bear it.

    Attributes:
        title: Names it.
        wanted: Class that it stands for; None where its images are of many.
        images: How many of other classes it was put on.
        success: Share of them that a model then answers with that class, or answers otherwise than
            without the pattern where it stands for none; by model.
    """

    title: str
    wanted: str | None
    images: int
    success: Mapping[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class Checked:
    """All that a look at the data found.

    Attributes:
        title: Name of the data.
        images: How many there are, unreadable ones included.
        classes: Each class in numbers.
        findings: The most serious first.
        fine: What was looked for and not found, a sentence each.
        skipped: Files that are no images, counted by kind.
        seconds: How long it took, by step.
        versions: Of what it was done with.
        tried: What the patterns that were found do to models.
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


def quarantine_rows(
    findings: Sequence[Finding], *, suspects: bool
) -> Iterator[tuple[str, str, str, str]]:
    """Yield file, label, kind and reason of each image to leave out, once.

    Args:
        findings: The gravest first.
        suspects: Whether images that only a person can judge are among them.
    """
    seen = set()
    for finding in findings:
        if not (finding.is_left_out or (suspects and finding.is_suspect)):
            continue
        for item in finding.items:
            if item.file not in seen and not item.is_tested:
                seen.add(item.file)
                yield item.file, item.label, finding.kind, item.note


def to_json(checked: Checked) -> str:
    """Write what was found for programs; images are named, not held."""
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
                "items": [_item(item) for item in f.items],
            }
            for f in checked.findings
        ],
        "fine": list(checked.fine),
        "tried": [asdict(each) for each in checked.tried],
        "skipped": dict(checked.skipped),
        "seconds": {name: round(value, 3) for name, value in checked.seconds.items()},
        "versions": dict(checked.versions),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _item(item: Item) -> dict[str, Any]:
    twin = {} if item.twin is None else {"twin": _item(item.twin)}
    return {"file": item.file, "label": item.label, "note": item.note, **twin}
