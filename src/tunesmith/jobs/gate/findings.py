"""Screening results in words: each check gives a finding, or says that nothing was found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.spread import spread
from tunesmith.core.words import counted
from tunesmith.data.examine import Kind
from tunesmith.data.loaded import Loaded
from tunesmith.data.source import Given, Source
from tunesmith.evaluation.metrics import CLASSES_ALIKE
from tunesmith.report.findings import ClassLook, Finding, Item
from tunesmith.screening.looks import UNLIKE, unlike
from tunesmith.screening.shift import Shift

Places = NDArray[np.int64]
PICTURED = 24  # images of a finding to show as pictures, at most
FEW = 20  # images that a class needs to be learned well
UNEVEN = 10  # ratio of the largest class to the smallest
# Files of more than 8 bits: how many to measure, and which share of their 8-bit values must be
# below DARK, a quarter of the range, to conclude that only the lower bits are used.
MEASURED, DARK, BRIGHTEST = 256, 64, 0.999
LOST = (
    "They use a quarter of the range or less, as values of 12 or 14 bits do, and are read dark, "
    "with few gray levels: stretch the values to 16 bits first."
)

PARTS = {
    "images": Given.NONE,
    "train": Given.TRAIN,
    "val": Given.VALIDATION,
    "test": Given.TEST,
}

STAYS = "Nothing of it gets into a model, a bundle or a report."
# Kind of content -> end of the title, and its meaning.
INSIDE: Mapping[Kind, tuple[str, str]] = {
    Kind.HIDDEN: (
        "a program, a script, an archive or a document",
        (
            "An image has no use for it: somebody may have put it there for a program that opens "
            "the file as something else. The images are kept; find out where these files come "
            f"from. {STAYS}"
        ),
    ),
    Kind.BEHIND: (
        "other bytes behind the image",
        f"Most often a camera or a program left them. {STAYS}",
    ),
    Kind.NAME: ("another format than their names say", "They are read by their content."),
    Kind.ANIMATED: ("more than one image", "The first one is used."),
    Kind.CMYK: ("colors of print (CMYK)", "They are converted, not quite as a printer would."),
    Kind.DEEP: ("values of more than 8 bits", "Training uses 8 bits."),
    Kind.POSITION: ("where they were taken", f"Mind that before you pass the files on. {STAYS}"),
    Kind.SERIAL: ("a camera's serial number", f"Mind that before you pass the files on. {STAYS}"),
}


@final
@dataclass(frozen=True, kw_only=True)
class Data:
    """The data that findings are about."""

    source: Source
    loaded: Loaded

    @property
    def labels(self) -> Places:
        """Class of each loaded image."""
        return self.source.labels[self.loaded.kept]

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Whether each loaded image belongs to a given test set."""
        given_N: NDArray[np.bool_] = self.source.given[self.loaded.kept] == Given.TEST
        return given_N

    @property
    def side(self) -> int:
        """Shorter side of the images, in pixels."""
        _, height, width, *_ = self.loaded.pixels.shape
        return int(min(height, width))

    @property
    def size(self) -> str:
        """Size at which the images were loaded, in words."""
        _, height, width, *_ = self.loaded.pixels.shape
        return f"{width} x {height} pixels"

    def item(self, place: int, note: str = "", *, twin: int | None = None, shown: bool) -> Item:
        """Make a report item of an image, with its picture if ``shown``."""
        index = self.loaded.kept[place]
        return Item(
            file=self.source.names[index],
            label=self.source.classes[self.source.labels[index]],
            note=note,
            image=self.loaded.pixels[place] if shown else None,
            twin=None if twin is None else self.item(twin, shown=shown),
            is_tested=bool(self.source.given[index] == Given.TEST),
        )

    def items(
        self, places: Iterable[int], notes: Sequence[str] = (), twins: Sequence[int] = ()
    ) -> list[Item]:
        """Make report items of images, the first ones with pictures.

        Args:
            places: Indices of the images.
            notes: A note on each; empty for none.
            twins: The image that each is a copy of; empty if they are no copies.
        """
        return [
            self.item(
                int(place),
                notes[rank] if notes else "",
                twin=twins[rank] if twins else None,
                shown=rank < PICTURED,
            )
            for rank, place in enumerate(places)
        ]


def odd(data: Data, looks: Mapping[str, NDArray[np.float32]]) -> Finding | str:
    """Report outliers: images that look unlike the rest."""
    respects = list(UNLIKE.values())
    respect_N, far_N = unlike(looks)
    found = np.flatnonzero(np.abs(far_N) > 1)
    if not len(found):
        return "Images that are far darker, brighter, flatter, blurred, larger or smaller: none."
    found = found[np.argsort(-np.abs(far_N[found]), kind="stable")]
    return Finding(
        kind="odd",
        weight="doubtful",
        title=counted(len(found), "image", verb=("looks", "look")) + " unlike the rest",
        meaning=(
            "Such images are often accidents: a lens cap, a scan of nothing, a picture of "
            "something else. They are kept; the oddest come first."
        ),
        items=data.items(
            found, [respects[respect_N[place]][int(far_N[place] > 0)] for place in found]
        ),
    )


def shifted(shift: Shift | None) -> Finding | str | None:
    """Report a distribution shift of the test set."""
    if shift is None:
        return None
    measured = (
        "a linear classifier, shown one image of each part, tells which is which in "
        f"{100 * shift.auc:.0f} % of cases (95 % confidence {100 * shift.low:.0f} to "
        f"{100 * shift.high:.0f} %; guessing: 50 %)"
    )
    if not shift.matters:
        return f"A test part that looks different from what is learned from: no, {measured}."
    return Finding(
        kind="shift",
        weight="doubtful",
        title="The test part looks different from what is learned from",
        meaning=(
            f"By brightness, color and coarse shape alone {measured}. The score will say how the "
            "model does on images like those of the test part, and cannot be better than what was "
            "learned allows. If new images will look like the test part, learn from more of that "
            "kind."
        ),
    )


def inside(data: Data) -> Iterator[Finding | str]:
    """Report what the files contain besides their images, if all images come from files."""
    examined = data.loaded.examined
    if not examined:
        return
    told: dict[Kind, list[tuple[int, str]]] = {}
    for place, each in enumerate(examined):
        for found in each.findings:
            told.setdefault(found.kind, []).append((place, found.text))
    for kind, notes in told.items():
        title, meaning = INSIDE[kind]
        is_lost = kind is Kind.DEEP and _is_dark(data, [place for place, _ in notes])
        files = counted(len(notes), "file", verb=("holds", "hold"))
        yield Finding(
            kind=f"file-{kind}",
            weight="serious" if is_lost or kind is Kind.HIDDEN else "notable",
            title=f"{files} {title}",
            meaning=LOST if is_lost else meaning,
            items=[data.item(place, note, shown=False) for place, note in notes],
        )
    if Kind.HIDDEN not in told:
        yield "Programs, scripts, archives or documents hidden in image files: none."


def _is_dark(data: Data, places: Sequence[int]) -> bool:
    """Whether nearly all values of some images are close to black, alpha aside."""
    counts = np.zeros(256, np.int64)
    for place in spread(np.array(places), MEASURED):
        counts += np.bincount(data.loaded.pixels[place, ..., :3].ravel(), minlength=len(counts))
    return bool(counts[:DARK].sum() >= BRIGHTEST * counts.sum())


def uneven(data: Data, metric: str) -> Finding | None:
    """Report class imbalance, and classes that are too small to be learned well."""
    # A class without images is another matter: `unread.emptied` reports it.
    present, counts_K = np.unique(data.labels[~data.tested], return_counts=True)
    if not len(present):
        return None
    factor = counts_K.max() / counts_K.min()
    if counts_K.min() >= FEW and factor < UNEVEN:
        return None
    return Finding(
        kind="uneven",
        weight="notable",
        title="The classes are of very different sizes" if factor >= UNEVEN else "Few images",
        meaning=(
            f"Each class has {counted(int(counts_K.max()), 'image')} to learn from: to be learned "
            f"well, a class needs {FEW} or more."
            if factor == 1
            else _sizes(data.source.classes[present[counts_K.argmin()]], counts_K, metric)
        ),
    )


def _sizes(rare: str, counts_K: NDArray[np.int64], metric: str) -> str:
    """Tell how different the sizes of classes are, and what to do if the rare ones matter."""
    few = int((counts_K < FEW).sum())
    small = (
        f" {counted(few, 'class', 'classes', verb=('has', 'have'))} fewer than {FEW} images to "
        "learn from."
        if few
        else ""
    )
    advice = (
        " If rare classes matter as much as common ones, train with --metric balanced_accuracy."
        if metric not in CLASSES_ALIKE
        else ""
    )
    return (
        f"The largest class has {counts_K.max():,} images to learn from, the smallest (“{rare}”) "
        f"{counts_K.min():,}.{small}{advice}"
    )


def class_looks(data: Data, looks: Mapping[str, NDArray[np.float32]]) -> tuple[ClassLook, ...]:
    """Compute statistics of each class, as a whole and by part."""
    given_N = data.source.given[data.loaded.kept]

    def look(name: str, places: Places) -> ClassLook:
        parts = {part: places[given_N[places] == given] for part, given in PARTS.items()}
        there = {part: some for part, some in parts.items() if len(some)}
        return ClassLook(
            name=name,
            counts={part: len(some) for part, some in parts.items()},
            looks=_medians(looks, places),
            by_part={part: _medians(looks, some) for part, some in there.items()},
        )

    return tuple(
        look(name, np.flatnonzero(data.labels == k)) for k, name in enumerate(data.source.classes)
    )


def _medians(looks: Mapping[str, NDArray[np.float32]], places: Places) -> dict[str, float]:
    return {
        each: float(np.median(values[places])) if len(places) else 0.0
        for each, values in looks.items()
    }
