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
from tunesmith.screening.colors import same_colors
from tunesmith.screening.copies import comparable, find_copies

Places = NDArray[np.int64]
# Gray squares [N, S, S] and perhaps the places of those asked about -> pairs of copies, [P, 2].
Search = Callable[[NDArray[np.uint8], Places | None], Places]
MOST_NEAR = 0.2  # of the images to learn from may be near copies of test images by accident


class Depth(StrEnum):
    """How much is looked for."""

    EXACT = "exact"
    """Images that are equal to the pixel."""
    TEST = "test"
    """Near copies of test images too."""
    NEAR = "near"
    """Near copies of all images."""
    WHOLE = "whole"
    """Near copies of all images, and whatever else there is to look for."""


@final
@dataclass(frozen=True, kw_only=True)
class Alike:
    """Which of the loaded images are the same.

    Attributes:
        depth: How they were looked for.
        exact_N: Group of each image; those of a group are equal to the pixel.
        near_N: The same, with near copies in one group: a chain of them is one group, though its
            ends may differ.
        near_P2: The pairs of near copies, of one image of each exact group, ``[P, 2]``.
        same_N: As ``near_N``, with mirror images of one class in one group.
        groups_N: What a split acts on: ``same_N``, but where more than `MOST_NEAR` of the images to
            learn from are near copies of test images, these are in no group with them.
    """

    depth: Depth
    exact_N: Places
    near_N: Places
    near_P2: Places
    same_N: Places
    groups_N: Places


def find_near(gray_NSS: NDArray[np.uint8], asked: Places | None) -> Places:
    """Pairs of near copies, ``[P, 2]``; see `find_copies`."""
    return find_copies(gray_NSS, asked).pairs


def find_alike(
    data: Data, depth: Depth, search: Search = find_near, mirrored: Search | None = None
) -> Alike:
    """Group equal images and, if ``depth`` says so, near copies, of the same shape and colors.

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
    near_P2 = mirrored_P2 = np.zeros((0, 2), np.int64)
    if depth is not Depth.EXACT:
        _, first = np.unique(exact_N, return_index=True)
        tested_N = np.isin(exact_N[first], exact_N[data.tested])
        asked = np.flatnonzero(tested_N) if depth is Depth.TEST else None
        gray_NSS = comparable(pixels_NHWC, first)
        near_P2 = first[search(gray_NSS, asked)]
        near_P2 = near_P2[same_colors(pixels_NHWC, near_P2)]
        if mirrored:
            mirrored_P2 = first[mirrored(gray_NSS, asked)]
            mirrored_P2 = mirrored_P2[np.ptp(data.labels[mirrored_P2], axis=1) == 0]
            mirrored_P2 = mirrored_P2[same_colors(pixels_NHWC, mirrored_P2)]
    pairs_P2 = np.concatenate([near_P2, mirrored_P2])
    near_N, same_N = merged(exact_N, near_P2), merged(exact_N, pairs_P2)
    return Alike(
        depth=depth,
        exact_N=exact_N,
        near_N=near_N,
        near_P2=near_P2,
        same_N=same_N,
        groups_N=_acted_on(data.tested, exact_N, near_N, same_N, pairs_P2),
    )


def _acted_on(
    tested_N: NDArray[np.bool_], exact_N: Places, near_N: Places, same_N: Places, pairs_P2: Places
) -> Places:
    """See `Alike`: to leave out most images for what a fixed camera does would be no help."""
    is_exact_N = np.isin(exact_N, exact_N[tested_N])
    is_near_N = np.isin(near_N, near_N[tested_N]) & ~is_exact_N
    if is_near_N.sum() <= MOST_NEAR * (~tested_N).sum():
        return same_N
    is_across_P = is_exact_N[pairs_P2[:, 0]] != is_exact_N[pairs_P2[:, 1]]
    return merged(exact_N, pairs_P2[~is_across_P])


def leaks(data: Data, alike: Alike) -> Finding | str | None:
    """Images to learn from that are also in the test part, and are left out for it."""
    tested_N, groups_N = data.tested, alike.groups_N
    if not tested_N.any():
        return None
    leaked = np.flatnonzero(~tested_N & np.isin(groups_N, groups_N[tested_N]))
    if not len(leaked):
        kind = _kind(near=alike.depth is not Depth.EXACT and not len(_spared(data, alike)))
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
        items=_items(data, alike, _with_twins(alike, leaked, tested_N)),
        is_left_out=True,
    )


def kept_leaks(data: Data, alike: Alike) -> Finding | None:
    """Near copies of test images that are learned from all the same, since there are so many."""
    places = _spared(data, alike)
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
        items=_items(data, alike, _with_twins(alike, places, data.tested)),
        is_suspect=True,
    )


def _spared(data: Data, alike: Alike) -> Places:
    """Places of images that are the same as test images, and in no group with them."""
    is_same_N, is_grouped_N = (
        np.isin(each_N, each_N[data.tested]) for each_N in (alike.same_N, alike.groups_N)
    )
    return np.flatnonzero(is_same_N & ~is_grouped_N)


def _known(tested_N: NDArray[np.bool_], groups_N: Places, leaked: Places) -> tuple[int, float]:
    """How many test images have a copy among leaked ones, and what share of them, in percent."""
    known = int((tested_N & np.isin(groups_N, groups_N[leaked])).sum())
    return known, 100 * known / int(tested_N.sum())


def torn(data: Data, alike: Alike) -> Places:
    """Places of images that `fit` leaves out where suspects are to be; test images among them.

    They are contradicted by a copy, or near copies of test images that are kept otherwise.
    """
    contradicted = np.array(list(_contradicted(data, alike)), np.int64)
    return np.union1d(contradicted, _spared(data, alike))


def _contradicted(data: Data, alike: Alike) -> dict[int, int]:
    """Each image with one that it was compared with, is the same as, and differs from in label.

    Along a chain of near copies labels may well change: of a film's frames, the first and the last
    show different things. So what counts is pairs, and images that are equal to the pixel.
    """
    labels_N, exact_N = data.labels, alike.exact_N
    order_N = np.lexsort((labels_N, exact_N))
    ends_G = np.cumsum(np.bincount(exact_N))
    begins_G = np.append(0, ends_G[:-1])
    least_G, most_G = order_N[begins_G], order_N[ends_G - 1]  # by their labels
    own_G = np.arange(len(ends_G))
    near_P2 = exact_N[alike.near_P2]
    # Those equal to the pixel first: of two reasons the better one is told.
    pairs_P2 = np.concatenate([np.stack([own_G, own_G], axis=1), near_P2, near_P2[:, ::-1]])
    low_P = labels_N[least_G[pairs_P2]].min(axis=1)
    found: dict[int, int] = {}
    for one, other in pairs_P2[labels_N[most_G[pairs_P2]].max(axis=1) > low_P].tolist():
        for place in order_N[begins_G[one] : ends_G[one]].tolist():
            for twin in (int(least_G[other]), int(most_G[other])):
                if labels_N[twin] != labels_N[place]:
                    found.setdefault(place, twin)
    return found


def conflicts(data: Data, alike: Alike) -> Finding | str:
    """Copies that bear different labels."""
    found = _contradicted(data, alike)
    if not found:
        return "Copies with different labels: none."
    places = sorted(found, key=lambda place: (alike.near_N[place], place))
    pairs = [(place, found[place]) for place in places]
    items = _items(data, alike, pairs, but=", but labeled otherwise")
    return Finding(
        kind="conflict",
        weight="doubtful",
        title=f"{counted(len(items), 'image')} with a copy in another class",
        meaning=(
            "At least one of the two labels is wrong, or the classes overlap. Decide which, and "
            "mend it. With --on-suspects quarantine they are left out of training."
        ),
        items=items,
        is_suspect=True,
    )


def copies(data: Data, alike: Alike) -> Finding | str:
    """Images that are there more than once, whatever part they serve."""
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
    exact, near = (
        np.count_nonzero(np.ptp(each_N[pairs_P2], axis=1) == 0)
        for each_N in (alike.exact_N, alike.near_N)
    )
    return Finding(
        kind="copies",
        weight="notable",
        title=counted(len(again), "image", verb=("is", "are")) + " there more than once",
        meaning=(
            f"Equal to the pixel: {exact:,}; re-encoded, brightened, resized or shifted: "
            f"{near - exact:,}; mirrored: {len(again) - near:,}. Those that a training knows of "
            "stay in one part when it splits the data, so that no score is raised by them."
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
    """Each place with a wanted one of its group: an equal one, or one that it was compared with."""
    wanted = np.flatnonzero(wanted_N)
    exact: dict[int, int] = dict(zip(alike.exact_N[wanted].tolist(), wanted.tolist(), strict=True))
    group: dict[int, int] = dict(zip(alike.same_N[wanted].tolist(), wanted.tolist(), strict=True))
    near = {
        one: exact[other]
        for pair in alike.exact_N[alike.near_P2].tolist()
        for one, other in (pair, pair[::-1])
        if other in exact
    }
    for place in places.tolist():
        own = int(alike.exact_N[place])
        yield place, exact.get(own, near.get(own, group[int(alike.same_N[place])]))


def _kind(*, near: bool) -> str:
    return "equal to the pixel or nearly so" if near else "equal to the pixel"


def _sameness(alike: Alike, one: int, other: int) -> str:
    if alike.exact_N[one] == alike.exact_N[other]:
        return "equal to the pixel"
    return "nearly the same" if alike.near_N[one] == alike.near_N[other] else "mirrored"
