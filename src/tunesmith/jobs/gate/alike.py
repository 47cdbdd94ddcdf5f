"""Copies among the images: equal to the pixel, equal when small, near copies, and mirrored."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import counted
from tunesmith.data.clean import merged, twins
from tunesmith.data.identical import identical
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding, Item
from tunesmith.screening.colors import same_colors
from tunesmith.screening.copies import comparable, find_copies

Places = NDArray[np.int64]
# Gray thumbnails [N, S, S], and perhaps the query indices -> index pairs of copies, [P, 2].
Search = Callable[[NDArray[np.uint8], Places | None], Places]
MOST_AGAIN = (
    1000  # images to read again to see whether they are equal to the pixel, if time is short
)
MOST_NEAR = 0.2  # share of training images that may be near copies of test images by chance


class Depth(StrEnum):
    """How thoroughly to search for copies."""

    EXACT = "exact"
    """Images that are equal as loaded."""
    TEST = "test"
    """Also near copies of test images."""
    NEAR = "near"
    """Near copies of all images."""
    WHOLE = "whole"
    """Near copies of all images, and all other checks of the data gate."""


@final
@dataclass(frozen=True, kw_only=True)
class Alike:
    """Which of the loaded images are copies of each other.

    Attributes:
        depth: Depth of the search for copies.
        exact_N: Group number of each image; the images of a group are equal to the pixel.
        seen_N: The same, but they are only known to be equal at the size at which they were loaded.
        near_N: As ``seen_N``, with near copies in one group; a chain of near copies is one group,
            although its ends may differ.
        near_P2: Pairs of near copies, ``[P, 2]``, with one image per group of ``seen_N``.
        same_N: As ``near_N``, with mirror images of the same class in one group.
        groups_N: Groups used by the split: ``same_N``, but if more than `MOST_NEAR` of the training
            images are near copies of test images, these are not grouped with them.
    """

    depth: Depth
    exact_N: Places
    seen_N: Places
    near_N: Places
    near_P2: Places
    same_N: Places
    groups_N: Places


def find_alike(
    data: Data,
    depth: Depth,
    search: Search = find_copies,
    mirrored: Search | None = None,
    *,
    threads: int = 1,
) -> Alike:
    """Group equal images and, depending on ``depth``, near copies of the same shape and colors.

    Mirror images count as copies only if they have the same label. Otherwise, left and right may be
    just what distinguishes the classes, as with b and d.

    Args:
        data: Decoded images.
        depth: Depth of the search.
        search: Function that finds near copies.
        mirrored: Function that finds mirror images; None to skip them.
        threads: Number of threads used.
    """
    pixels_NHWC = data.loaded.pixels
    seen_N = twins(pixels_NHWC, data.labels)
    near_P2 = mirrored_P2 = np.zeros((0, 2), np.int64)
    if depth is not Depth.EXACT:
        _, first = np.unique(seen_N, return_index=True)
        tested_N = np.isin(seen_N[first], seen_N[data.tested])
        asked = np.flatnonzero(tested_N) if depth is Depth.TEST else None
        gray_NSS = comparable(pixels_NHWC, first)
        near_P2 = first[search(gray_NSS, asked)]
        near_P2 = near_P2[same_colors(pixels_NHWC, near_P2, threads=threads)]
        if mirrored:
            mirrored_P2 = first[mirrored(gray_NSS, asked)]
            mirrored_P2 = mirrored_P2[np.ptp(data.labels[mirrored_P2], axis=1) == 0]
            same_P = same_colors(pixels_NHWC, mirrored_P2, mirrored=True, threads=threads)
            mirrored_P2 = mirrored_P2[same_P]
    pairs_P2 = np.concatenate([near_P2, mirrored_P2])
    near_N, same_N = merged(seen_N, near_P2), merged(seen_N, pairs_P2)
    most = None if depth is Depth.WHOLE else MOST_AGAIN
    return Alike(
        depth=depth,
        exact_N=identical(data.source, data.loaded, seen_N, threads=threads, most=most),
        seen_N=seen_N,
        near_N=near_N,
        near_P2=near_P2,
        same_N=same_N,
        groups_N=_acted_on(data.tested, seen_N, near_N, same_N, pairs_P2),
    )


def _acted_on(
    tested_N: NDArray[np.bool_], seen_N: Places, near_N: Places, same_N: Places, pairs_P2: Places
) -> Places:
    """Return ``groups_N`` of `Alike`: leaving out most images of a fixed camera would not help."""
    is_seen_N = np.isin(seen_N, seen_N[tested_N])
    is_near_N = np.isin(near_N, near_N[tested_N]) & ~is_seen_N
    if is_near_N.sum() <= MOST_NEAR * (~tested_N).sum():
        return same_N
    is_across_P = is_seen_N[pairs_P2[:, 0]] != is_seen_N[pairs_P2[:, 1]]
    return merged(seen_N, pairs_P2[~is_across_P])


def leaks(data: Data, alike: Alike) -> Finding | str | None:
    """Report training images that are copies of test images, and are therefore left out."""
    tested_N, groups_N = data.tested, alike.groups_N
    if not tested_N.any():
        return None
    leaked = np.flatnonzero(~tested_N & np.isin(groups_N, groups_N[tested_N]))
    if not len(leaked):
        kind = _kind(near=alike.depth is not Depth.EXACT and not len(spared(data, alike)))
        return f"Copies of test images among those to learn from, {kind}: none."
    known, share = _known(tested_N, groups_N, leaked)
    return Finding(
        kind="leak",
        weight="serious",
        title=f"{counted(len(leaked), 'copy', 'copies')} of test images among those to learn from",
        meaning=(
            f"{counted(known, 'test image')} ({share:.1f} %) could be answered by "
            f"heart, which can add up to {share:.1f} percentage points to a score that nobody "
            "would see on new images. Those equal to the pixel are always left out of training, "
            "others as far as there is time to look for them, or where the list is passed on "
            "(--quarantine). The test part stays as it is."
        ),
        items=items(data, alike, _with_twins(alike, leaked, tested_N)),
        is_left_out=True,
    )


def kept_leaks(data: Data, alike: Alike) -> Finding | None:
    """Report near copies of test images that stay in training because there are so many."""
    places = spared(data, alike)
    if not len(places):
        return None
    known, share = _known(data.tested, alike.same_N, places)
    title = counted(len(places), "near copy", "near copies")
    return Finding(
        kind="leak",
        weight="serious",
        title=f"{title} of test images among those to learn from",
        meaning=(
            f"{counted(known, 'test image')} ({share:.1f} %) could be answered by heart, and the "
            "score says little about images of another place or day. So many are no accident (a "
            "fixed camera, frames of one film): they are kept, unless suspects are to be left out "
            "(--on-suspects quarantine, or --quarantine with the list of `tunesmith check`). "
            "Better is a test part that was taken elsewhere."
        ),
        items=items(data, alike, _with_twins(alike, places, data.tested)),
        is_suspect=True,
    )


def spared(data: Data, alike: Alike) -> Places:
    """Return the indices of images that are copies of test images, but not grouped with them."""
    is_same_N, is_grouped_N = (
        np.isin(each_N, each_N[data.tested]) for each_N in (alike.same_N, alike.groups_N)
    )
    return np.flatnonzero(is_same_N & ~is_grouped_N)


def _known(tested_N: NDArray[np.bool_], groups_N: Places, leaked: Places) -> tuple[int, float]:
    """Return the number and the percentage of test images that have a copy in ``leaked``."""
    known = int((tested_N & np.isin(groups_N, groups_N[leaked])).sum())
    return known, 100 * known / int(tested_N.sum())


def copies(data: Data, alike: Alike) -> Finding | str:
    """Report images that occur more than once, in any split."""
    groups_N = alike.same_N
    _, number_N, counts = np.unique(groups_N, return_inverse=True, return_counts=True)
    copied = np.flatnonzero(counts[number_N] > 1)
    copied = copied[np.argsort(number_N[copied], kind="stable")]  # group by group
    if not len(copied):
        kind = _kind(near=alike.depth in {Depth.NEAR, Depth.WHOLE})
        return f"Images that are there more than once, {kind}: none."
    first = np.concatenate([[True], np.diff(groups_N[copied]) != 0])
    owner = np.maximum.accumulate(np.where(first, np.arange(len(copied)), 0))
    again = np.flatnonzero(~first)
    pairs_P2 = np.stack([copied[again], copied[owner[again]]], axis=1)
    return Finding(
        kind="copies",
        weight="notable",
        title=counted(len(again), "image", verb=("is a copy of another", "are copies of others")),
        meaning=(
            f"{_counts(data, alike)}. Those that a training knows of stay in one part when it "
            "splits the data, so that no score is raised by them."
        ),
        items=items(data, alike, pairs_P2.tolist()),
    )


def _counts(data: Data, alike: Alike) -> str:
    """Count the copies of each kind; their sum is the number of images that others stand for."""
    kinds = (alike.exact_N, alike.seen_N, alike.near_N, alike.same_N)
    left = [len(data.labels), *(len(np.unique(each_N)) for each_N in kinds)]
    exact, seen, near, mirrored = (int(count) for count in -np.diff(left))
    counts = {
        "equal to the pixel": exact,
        f"equal at {data.size}": seen,
        "re-encoded, brightened, resized or shifted": near,
        "mirrored": mirrored,
    }
    told = "; ".join(f"{kind}: {count:,}" for kind, count in counts.items() if count)
    return told[:1].upper() + told[1:]


def items(
    data: Data, alike: Alike, pairs: Iterable[tuple[int, int]], *, but: str = ""
) -> list[Item]:
    """Make report items of images, each with the image that it is a copy of."""
    both = [(int(place), int(twin)) for place, twin in pairs]
    notes = [f"{_sameness(data, alike, place, twin)}{but}" for place, twin in both]
    return data.items([place for place, _ in both], notes, [twin for _, twin in both])


def _with_twins(
    alike: Alike, places: Places, wanted_N: NDArray[np.bool_]
) -> Iterator[tuple[int, int]]:
    """Pair each index with a wanted copy: equal if possible, else near, else any of its group."""
    wanted = np.flatnonzero(wanted_N)
    exact, seen, group = (
        _lasts(each_N, wanted) for each_N in (alike.exact_N, alike.seen_N, alike.same_N)
    )
    near = {
        one: seen[other]
        for pair in alike.seen_N[alike.near_P2].tolist()
        for one, other in (pair, pair[::-1])
        if other in seen
    }
    for place in places.tolist():
        own = int(alike.seen_N[place])
        equal = exact.get(int(alike.exact_N[place]), seen.get(own))
        known = near.get(own, group[int(alike.same_N[place])])
        yield place, known if equal is None else equal


def _lasts(groups_N: Places, wanted: Places) -> dict[int, int]:
    """Map the group of each wanted image to the last one in it."""
    return dict(zip(groups_N[wanted].tolist(), wanted.tolist(), strict=True))


def _kind(*, near: bool) -> str:
    return "equal to the pixel or nearly so" if near else "equal to the pixel"


def _sameness(data: Data, alike: Alike, one: int, other: int) -> str:
    if alike.exact_N[one] == alike.exact_N[other]:
        return "equal to the pixel"
    if alike.seen_N[one] == alike.seen_N[other]:
        return f"equal at {data.size}"
    return "nearly the same" if alike.near_N[one] == alike.near_N[other] else "mirrored"
