"""The data gate: all checks of the data, as thorough as time allows."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.clean import joined, one_of_each
from tunesmith.evaluation.baselines import coarse
from tunesmith.jobs.gate.alike import (
    Alike,
    Depth,
    Places,
    Search,
    copies,
    find_alike,
    kept_leaks,
    leaks,
)
from tunesmith.jobs.gate.clues import clues, shortcuts
from tunesmith.jobs.gate.conflicts import conflicts
from tunesmith.jobs.gate.findings import (
    Data,
    class_looks,
    inside,
    odd,
    shifted,
    uneven,
)
from tunesmith.jobs.gate.unread import emptied, missing, unnamed, unreadable, untested
from tunesmith.report.findings import NO_NEAR_COPIES, ClassLook, Finding
from tunesmith.screening.copies import find_copies
from tunesmith.screening.looks import measure
from tunesmith.screening.neighbors import comparisons
from tunesmith.screening.shift import find_shift

SHARE = 0.025  # share of a budget that the gate may take
# Estimated seconds of one core: per compared pair, per image, per pixel and per class with all
# checks, and per pixel if images are only shrunk to look for near copies. The colors of the copies
# that are found are not counted: copies are few, except among the frames of a film, which take
# longer therefore.
PAIR_S, IMAGE_S, PIXEL_S, CLASS_S, SHRINK_S = 1e-8, 1e-4, 4e-8, 1.5e-3, 1e-8
PER_PART = 5000  # images of each split for the classifier that tells the splits apart
ORDER = ("serious", "doubtful", "notable")
# Depth -> what was skipped for lack of time.
UNSOUGHT = {
    Depth.EXACT: NO_NEAR_COPIES,
    Depth.TEST: "Near copies of others than test images: not looked for, there was no time.",
}

Phase = Callable[[str], AbstractContextManager[None]]
Looks = Mapping[str, NDArray[np.float32]]


@final
@dataclass(frozen=True, kw_only=True)
class Gated:
    """Results of the gate.

    Attributes:
        alike: Which images are copies.
        findings: Findings, the most serious first.
        fine: Checks that found nothing, one sentence each.
        classes: Statistics of each class; empty if there was no time to inspect each image.
    """

    alike: Alike
    findings: tuple[Finding, ...]
    fine: tuple[str, ...]
    classes: tuple[ClassLook, ...]

    def told(self, said: Iterable[Finding | str | None]) -> Self:
        """Return the same with further results."""
        said = list(said)
        more = [each for each in said if isinstance(each, Finding)]
        return replace(
            self,
            findings=tuple(sorted([*self.findings, *more], key=lambda f: ORDER.index(f.weight))),
            fine=(*self.fine, *(each for each in said if isinstance(each, str))),
        )


def depth_for(
    images: int, tested: int, *, classes: int, pixels: int, budget: float, cores: int
) -> Depth:
    """Choose the greatest depth that takes no more than the gate's share of a budget.

    It depends on sizes alone and not on the clock, so that the same job gets the same split.

    Args:
        images: Number of images.
        tested: Number of images in a given test set.
        classes: Number of classes.
        pixels: Pixels per image, at the network's input size.
        budget: Time budget, in seconds.
        cores: Number of cores used.
    """

    def fits(asked: int, pixel_s: float, further_s: float = 0.0) -> bool:
        seconds = PAIR_S * comparisons(images, asked) + images * (IMAGE_S + pixel_s * pixels)
        return (seconds + further_s) / cores <= SHARE * budget

    if fits(images, PIXEL_S, CLASS_S * classes):
        return Depth.WHOLE
    if fits(images, SHRINK_S):
        return Depth.NEAR
    return Depth.TEST if tested and fits(tested, SHRINK_S) else Depth.EXACT


def gate(
    data: Data,
    depth: Depth,
    phase: Phase,
    *,
    search: Search = find_copies,
    mirrored: Search | None = None,
    metric: str = "accuracy",
    threads: int = 1,
) -> Gated:
    """Run the checks.

    Args:
        data: Decoded images.
        depth: Depth of the checks.
        phase: Context manager that records the time of each step under its name.
        search: Function that finds near copies.
        mirrored: Function that finds mirror images; None to skip them.
        metric: Metric that models are ranked by.
        threads: Number of threads used.
    """
    with phase("look for copies"):
        alike = find_alike(data, depth, search, mirrored, threads=threads)
    said: list[Finding | str | None] = [
        emptied(data),
        untested(data),
        unreadable(data),
        missing(data.source),
        unnamed(data.source),
        leaks(data, alike),
        kept_leaks(data, alike),
        conflicts(data, alike),
        copies(data, alike),
        UNSOUGHT.get(depth),
        uneven(data, metric),
    ]
    classes: tuple[ClassLook, ...] = ()
    if depth is Depth.WHOLE:
        with phase("look at each image"):
            looks = measure(data.loaded.pixels, data.loaded.shapes)
            classes = class_looks(data, looks)
        with phase("compare parts and classes"):
            said += [*inside(data), odd(data, looks)]
            said += _compared(data, alike, looks)
    return Gated(alike=alike, findings=(), fine=(), classes=classes).told(said)


def one_each(data: Data, alike: Alike, kinds_N: Places) -> Places:
    """Return the index of one image of each kind per group of copies, or group of the source.

    Otherwise, a classifier could recognize copies of the images that it was fitted to.
    """
    return one_of_each(joined(alike.same_N, data.source.groups, data.loaded.kept), kinds_N)


def _compared(data: Data, alike: Alike, looks: Looks) -> list[Finding | str | None]:
    """Check the test set for a shift, and the classes for shortcuts."""
    shift = find_shift(*_described(data, alike, looks)) if data.tested.any() else None
    found = clues(data, one_each(data, alike, data.labels))
    return [shifted(shift), *shortcuts(data, found)]


def _described(
    data: Data, alike: Alike, looks: Looks
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Describe some images of both splits as vectors ``[N, D]``, and say which are test images."""
    rng = np.random.default_rng(0)
    single = one_each(data, alike, data.tested.astype(np.int64))
    parts = [single[data.tested[single] == is_tested] for is_tested in (False, True)]
    rows = np.concatenate([np.sort(rng.permutation(part)[:PER_PART]) for part in parts])
    numbers = np.stack([values[rows] for values in looks.values()], axis=1)
    pixels = coarse(data.loaded.pixels, rows, side=8)
    return np.concatenate([pixels, numbers], axis=1), data.tested[rows]
