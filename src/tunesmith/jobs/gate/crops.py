"""Cropped copies: features of a network propose candidate pairs, and pixels decide."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.cores import cores
from tunesmith.core.words import counted
from tunesmith.jobs.gate.alike import Alike
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.look import recipe
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding, Item
from tunesmith.screening.colors import same_colors
from tunesmith.screening.copies import comparable
from tunesmith.screening.crops import LEAST_SIDE, find_crops
from tunesmith.screening.neighbors import nearest

Places = NDArray[np.int64]
Floats = NDArray[np.float32]

CANDIDATES = 4  # nearest neighbors to compare with each image
WAY_OUT = (
    "`fit` does not look for cropped copies by itself: pass quarantine.csv on with --quarantine, "
    "and those that it lists are left out of training."
)


def crops(data: Data, alike: Alike, f_ND: Floats, cache: Cache) -> Places:
    """Find cropped copies among images that are not known to be copies already.

    Args:
        data: The images.
        alike: Which of them are copies; one per group is compared, a test image if there is one.
        f_ND: Features of each image, by a network.
        cache: Cache of earlier results.

    Returns:
        Indices of the whole image and of its crop, ``[P, 2]``.
    """
    tested_first = np.argsort(~data.tested, kind="stable")
    _, first = np.unique(alike.same_N[tested_first], return_index=True)
    chosen = tested_first[first]
    pixels = data.loaded.pixels
    gray_NSS = comparable(pixels, chosen)
    f_ND = f_ND[chosen]

    def find() -> list[list[int]]:
        # Not centered or whitened, which moves features of a crop and of the whole farther apart.
        unit_ND = f_ND / np.linalg.norm(f_ND, axis=1, keepdims=True).clip(1e-6)
        nearest_NK = nearest(unit_ND, np.arange(len(f_ND)), min(CANDIDATES, len(f_ND) - 1))
        found = find_crops(gray_NSS, nearest_NK)
        pairs_P2 = chosen[found.pairs_P2]
        windows_P23, threads = found.windows_P23, cores()
        is_same_P = same_colors(pixels, pairs_P2, windows_P23=windows_P23, threads=threads)
        same: list[list[int]] = found.pairs_P2[is_same_P].tolist()
        return same

    found = cache.once(recipe("crops", "opencv-python-headless"), [pixels, chosen, f_ND], find)
    return chosen[np.array(found, np.int64).reshape(-1, 2)]


def tell_crops(data: Data, pairs_P2: Places) -> Iterator[Finding | str]:
    """Report the pairs as leaks, as label conflicts, or as plain copies."""
    if data.side < LEAST_SIDE:
        yield f"Cropped copies: not looked for in images of less than {LEAST_SIDE} pixels a side."
        return
    if not len(pairs_P2):
        yield "Cropped copies: none."
        return
    # Test images come second, as the twins of training images.
    tested_P2 = data.tested[pairs_P2]
    pairs_P2 = np.take_along_axis(pairs_P2, np.argsort(tested_P2, axis=1, kind="stable"), axis=1)
    is_leak_P = tested_P2[:, 0] != tested_P2[:, 1]
    is_torn_P = np.ptp(data.labels[pairs_P2], axis=1) > 0
    is_copy_P = ~(is_leak_P | is_torn_P)
    if is_leak_P.any():
        yield _leak(data, pairs_P2[is_leak_P])
    if is_torn_P.any():
        yield _conflict(data, pairs_P2[is_torn_P])
    if is_copy_P.any():
        yield _copies(data, pairs_P2[is_copy_P])


def _leak(data: Data, pairs_P2: Places) -> Finding:
    items = _items(data, pairs_P2, "one shows a part of the other")
    known = len(np.unique(pairs_P2[:, 1]))
    share = 100 * known / data.tested.sum()
    return Finding(
        kind="leak",
        weight="serious",
        title=(
            f"{counted(len(items), 'cropped copy', 'cropped copies')} of test images among those "
            "to learn from"
        ),
        meaning=(
            f"{counted(known, 'test image')} ({share:.1f} %) could be answered by heart, as a part "
            f"of another image or the other way round. {WAY_OUT}"
        ),
        items=items,
        is_suspect=True,
    )


def _conflict(data: Data, pairs_P2: Places) -> Finding:
    both_P2 = np.concatenate([pairs_P2, pairs_P2[:, ::-1]])
    items = _items(data, both_P2, "one shows a part of the other, but labeled otherwise")
    return Finding(
        kind="conflict",
        weight="doubtful",
        title=counted(len(items), "image") + " with a cropped copy in another class",
        meaning=(
            "At least one of the two labels is wrong, or the classes overlap, or what was cut off "
            f"makes the difference. Decide which, and mend it. {WAY_OUT}"
        ),
        items=items,
        is_suspect=True,
    )


def _copies(data: Data, pairs_P2: Places) -> Finding:
    items = _items(data, pairs_P2[:, ::-1], "shows a part of the other")
    return Finding(
        kind="copies",
        weight="notable",
        title=counted(
            len(items),
            "image",
            verb=("is a cropped copy of another", "are cropped copies of others"),
        ),
        meaning=(
            "Of each pair one shows a part of what the other shows, at another scale. They weigh "
            "more in training. When `fit` splits the data it does not know of them: a score is "
            "raised where they come to lie in different parts."
        ),
        items=items,
    )


def _items(data: Data, pairs_P2: Places, note: str) -> list[Item]:
    """Make report items of the first image of each pair, without repeats, with the second."""
    places, first = np.unique(pairs_P2[:, 0], return_index=True)
    return data.items(places, [note] * len(places), pairs_P2[first, 1].tolist())
