"""Images that are the same, to the pixel or nearly."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import counted
from tunesmith.data.clean import merged, twins
from tunesmith.jobs.findings import Data
from tunesmith.report.findings import Finding, Item
from tunesmith.screening.copies import comparable, find_copies

Places = NDArray[np.int64]
# Gray squares [N, S, S] and perhaps the places of those asked about -> pairs of copies, [P, 2].
Search = Callable[[NDArray[np.uint8], Places | None], Places]
IS = ("is", "are")


class Depth(StrEnum):
    """How much is looked for."""

    EXACT = "exact"
    """Images that are equal to the pixel."""
    TEST = "test"
    """Near copies of test images too."""
    WHOLE = "whole"
    """Near copies of all images, and whatever else there is to look for."""


@final
@dataclass(frozen=True, kw_only=True)
class Alike:
    """Which of the loaded images are the same.

    Attributes:
        depth: How they were looked for.
        exact_N: Group of each image; those of a group are equal to the pixel.
        near_N: The same, with near copies in one group.
        groups_N: The same, with mirror images of one class in one group.
    """

    depth: Depth
    exact_N: Places
    near_N: Places
    groups_N: Places


def _copied(groups_N: Places) -> Places:
    """Places of all images that are not alone in their group, group by group."""
    _, number_N, counts = np.unique(groups_N, return_inverse=True, return_counts=True)
    copied = np.flatnonzero(counts[number_N] > 1)
    return copied[np.argsort(number_N[copied], kind="stable")]


def find_near(gray_NSS: NDArray[np.uint8], asked: Places | None) -> Places:
    """Pairs of near copies, ``[P, 2]``; see `find_copies`."""
    return find_copies(gray_NSS, asked).pairs


def find_alike(
    data: Data, depth: Depth, search: Search = find_near, mirrored: Search | None = None
) -> Alike:
    """Group equal images and, if ``depth`` says so, near copies.

    A mirror image counts where both bear one label: where they do not, left and right may be just
    what tells the classes apart, as b and d.

    Args:
        data: Decoded images.
        depth: How much is looked for.
        search: Finds near copies.
        mirrored: Finds mirror images; None, they are not looked for.
    """
    pixels_NHWC = data.loaded.pixels
    exact_N = twins(pixels_NHWC, data.labels)
    if depth is Depth.EXACT:
        return Alike(depth=depth, exact_N=exact_N, near_N=exact_N, groups_N=exact_N)
    _, first = np.unique(exact_N, return_index=True)
    tested_N = np.isin(exact_N[first], exact_N[data.tested])
    asked = np.flatnonzero(tested_N) if depth is Depth.TEST else None
    gray_NSS = comparable(pixels_NHWC, first)
    near_N = groups_N = merged(exact_N, first[search(gray_NSS, asked)])
    if mirrored:
        pairs_P2 = first[mirrored(gray_NSS, asked)]
        is_one_class = np.ptp(data.labels[pairs_P2], axis=1) == 0
        groups_N = merged(near_N, pairs_P2[is_one_class])
    return Alike(depth=depth, exact_N=exact_N, near_N=near_N, groups_N=groups_N)


def leaks(data: Data, alike: Alike) -> Finding | str | None:
    """Images to learn from that are also in the test part."""
    tested_N, groups_N = data.tested, alike.groups_N
    if not tested_N.any():
        return None
    leaked = np.flatnonzero(~tested_N & np.isin(groups_N, groups_N[tested_N]))
    if not len(leaked):
        kind = _kind(near=alike.depth is not Depth.EXACT)
        return f"Copies of test images among those to learn from, {kind}: none."
    known = tested_N & np.isin(groups_N, groups_N[~tested_N])
    share = 100 * known.sum() / tested_N.sum()
    return Finding(
        kind="leak",
        weight="serious",
        title=f"{counted(len(leaked), 'copy', 'copies')} of test images among those to learn from",
        meaning=(
            f"{counted(int(known.sum()), 'test image')} ({share:.2g} %) could be answered by "
            f"heart, which can add up to {share:.2g} percentage points to a score that nobody "
            "would see on new images. Those equal to the pixel are always left out of training, "
            "others as far as there is time to look for them, or where the list is passed on "
            "(--quarantine). The test part stays as it is."
        ),
        items=_items(data, alike, _with_twins(alike, leaked, tested_N)),
        is_left_out=True,
    )


def torn(data: Data, alike: Alike) -> Places:
    """Places of images that are the same as one of another class; test images are among them."""
    labels_N, groups_N = data.labels, alike.near_N
    copied = _copied(groups_N)
    least = np.full(groups_N.max(initial=-1) + 1, len(data.source.classes))
    most = np.full(len(least), -1)
    np.minimum.at(least, groups_N[copied], labels_N[copied])
    np.maximum.at(most, groups_N[copied], labels_N[copied])
    return copied[most[groups_N[copied]] > least[groups_N[copied]]]


def conflicts(data: Data, alike: Alike) -> Finding | str:
    """Copies that bear different labels."""
    places = torn(data, alike)
    if not len(places):
        return "Copies with different labels: none."
    pairs = _torn_pairs(places, alike.near_N, data.labels)
    items = _items(data, alike, pairs, but=", but labeled otherwise")
    return Finding(
        kind="conflict",
        weight="doubtful",
        title=counted(len(items), "image", verb=IS) + " the same as one of another class",
        meaning=(
            "At least one of the two labels is wrong, or the classes overlap. Decide which, and "
            "mend it. With --on-suspects quarantine they are left out of training."
        ),
        items=items,
        is_suspect=True,
    )


def copies(data: Data, alike: Alike) -> Finding | str:
    """Images that are there more than once, whatever part they serve."""
    copied = _copied(alike.groups_N)
    if not len(copied):
        kind = _kind(near=alike.depth is Depth.WHOLE)
        return f"Images that are there more than once, {kind}: none."
    groups_N = alike.groups_N
    first = np.concatenate([[True], np.diff(groups_N[copied]) != 0])
    owner = np.maximum.accumulate(np.where(first, np.arange(len(copied)), 0))
    again = np.flatnonzero(~first)
    pairs_P2 = np.stack([copied[again], copied[owner[again]]], axis=1)
    exact, near = (
        np.count_nonzero(np.ptp(each_N[pairs_P2], axis=1) == 0)
        for each_N in (alike.exact_N, alike.near_N)
    )
    turned = f", {len(again) - near:,} are mirrored" if near < len(again) else ""
    return Finding(
        kind="copies",
        weight="notable",
        title=counted(len(again), "image", verb=IS) + " there more than once",
        meaning=(
            f"{exact:,} are equal to the pixel, {near - exact:,} are re-encoded, brightened, "
            f"resized or shifted{turned}. Those that a training knows of stay in one part when it "
            "splits the data, so that no score is raised by them; they only weigh more."
        ),
        items=_items(data, alike, pairs_P2.tolist()),
    )


def _items(
    data: Data, alike: Alike, pairs: Iterable[tuple[int, int]], *, but: str = ""
) -> list[Item]:
    """Images with what they are copies of."""
    both = [(int(place), int(twin)) for place, twin in pairs]
    notes = [f"{_sameness(alike, place, twin)}{but}" for place, twin in both]
    return data.items([place for place, _ in both], notes, [twin for _, twin in both])


def _with_twins(
    alike: Alike, places: Places, wanted_N: NDArray[np.bool_]
) -> Iterator[tuple[int, int]]:
    """Each place with a wanted one of its group; an equal one where there is any."""
    wanted = np.flatnonzero(wanted_N)
    exact: dict[int, int] = dict(zip(alike.exact_N[wanted].tolist(), wanted.tolist(), strict=True))
    near: dict[int, int] = dict(zip(alike.groups_N[wanted].tolist(), wanted.tolist(), strict=True))
    for place in places.tolist():
        yield place, exact.get(int(alike.exact_N[place]), near[int(alike.groups_N[place])])


def _torn_pairs(places: Places, groups_N: Places, labels_N: Places) -> Iterator[tuple[int, int]]:
    """Each image with one of its group that bears another label."""
    members: dict[int, list[int]] = {}
    for place in places.tolist():
        members.setdefault(int(groups_N[place]), []).append(place)
    for group in members.values():
        first = group[0]
        other = next(twin for twin in group if labels_N[twin] != labels_N[first])
        for place in group:
            yield place, other if labels_N[place] == labels_N[first] else first


def _kind(*, near: bool) -> str:
    return "equal to the pixel or nearly so" if near else "equal to the pixel"


def _sameness(alike: Alike, one: int, other: int) -> str:
    if alike.exact_N[one] == alike.exact_N[other]:
        return "equal to the pixel"
    return "nearly the same" if alike.near_N[one] == alike.near_N[other] else "mirrored"
