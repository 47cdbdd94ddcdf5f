"""Find small patterns at the same position in many images: watermarks or backdoor triggers.

A backdoor attack stamps some images with a small pattern and labels them as the attacker's target,
so that the network learns to respond to the pattern (Gu, Dolan-Gavitt and Garg 2017, "BadNets",
arXiv:1708.06733). Natural content is hardly ever at one exact position: an edge that is common
somewhere is also common one pixel further on. A stamp is not. And if images are so small, or so
much enlarged, that each position has edges of its own, these come in many shades. A stamp does not.
A plain square has no edges of its own: see `squares`.

Shape letters: N images of H x W pixels, C common patterns, K distinct ones.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.repeated import (
    BITS,
    LEAST_COUNT,
    MOST_VARIED,
    OFFSETS,
    Places,
    Repeated,
    Rivals,
    distinct,
    examined,
    least_of,
    levels,
)
from tunesmith.screening.squares import find_squares

SIDE = 3  # side of a patch in pixels
LEAST_CONTRAST = 4  # of the eight gray levels; a patch with less is not a pattern
MOST_COMMON = 256  # patterns at one position, the most frequent ones
PLACE_VALUES = (1 << (BITS * np.arange(SIDE**2))).astype(np.int32)


def find_repeated(gray_NHW: NDArray[np.uint8]) -> tuple[Repeated, ...]:
    """Find small patterns that many images have at the same position, and only there.

    These are patterns of 3 x 3 pixels, and plain squares. Of those that are parts of one, the most
    frequent is returned. Of very many, as in images of the same scenes, only the most frequent ones
    are.

    Args:
        gray_NHW: Gray images of equal size.

    Example:
        >>> x_NHW = np.random.default_rng(0).integers(0, 256, (500, 12, 12)).astype(np.uint8)
        >>> x_NHW[:20, 9:, 9:] = [[255, 0, 255], [0, 255, 0], [255, 0, 255]]
        >>> [(each.top, each.left, len(each.places)) for each in find_repeated(x_NHW)]
        [(9, 9, 20)]

    """
    if len(gray_NHW) < LEAST_COUNT:
        return ()
    found = [each for offset in OFFSETS for each in _repeated(levels(gray_NHW, offset))]
    return distinct([*found, *find_squares(gray_NHW)], len(gray_NHW))


def _repeated(levels_NHW: NDArray[np.uint8]) -> Iterator[Repeated]:
    _, height, width = levels_NHW.shape
    corners = list(itertools.product(range(height - SIDE + 1), range(width - SIDE + 1)))
    code_C, count_C, place_C = _common(levels_NHW, corners)
    known_K, kind_C = np.unique(code_C, return_inverse=True)
    rivals = Rivals(len(known_K))
    for place, corner in enumerate(corners if len(known_K) else ()):
        rivals.add(place, _count(_patterns(levels_NHW, *corner), known_K))
    for each in examined(count_C, rivals.elsewhere(kind_C, place_C)):
        top, left = corners[place_C[each]]
        places = np.flatnonzero(_patterns(levels_NHW, top, left) == code_C[each])
        if _count_alike(levels_NHW, top, left, int(places[0])) <= MOST_VARIED * count_C[each]:
            yield Repeated(top=top, left=left, places=places)


def _common(
    levels_NHW: NDArray[np.uint8], corners: list[tuple[int, int]]
) -> tuple[Places, Places, Places]:
    """Return patterns that many images have in one place: code, number of images, and place."""
    found = [np.empty((3, 0), np.int64)]
    for place, corner in enumerate(corners):
        codes, counts = np.unique(_patterns(levels_NHW, *corner), return_counts=True)
        often = np.flatnonzero((counts >= least_of(len(levels_NHW))) & (codes >= 0))
        often = often[np.argsort(-counts[often], kind="stable")[:MOST_COMMON]]
        found.append(np.stack([codes[often], counts[often], np.full(len(often), place)]))
    code_C, count_C, place_C = np.concatenate(found, axis=1)
    return code_C, count_C, place_C


def _count_alike(levels_NHW: NDArray[np.uint8], top: int, left: int, one: int) -> int:
    """Count images with about the same patch as one of them: no pixel is off by over a level."""
    cells_NHW = levels_NHW[:, top : top + SIDE, left : left + SIDE].astype(np.int8)
    is_alike_N = np.abs(cells_NHW - cells_NHW[one]).max(axis=(1, 2)) <= 1
    return int(is_alike_N.sum())


def _patterns(levels_NHW: NDArray[np.uint8], top: int, left: int) -> NDArray[np.int32]:
    """Code of each image's patch, ``[N]``; -1 if it is not a pattern."""
    cells_N9 = levels_NHW[:, top : top + SIDE, left : left + SIDE].reshape(len(levels_NHW), -1)
    is_pattern_N = cells_N9.max(axis=1) - cells_N9.min(axis=1) >= LEAST_CONTRAST
    return np.where(is_pattern_N, cells_N9.astype(np.int32) @ PLACE_VALUES, np.int32(-1))


def _count(codes_N: NDArray[np.int32], known_K: Places) -> NDArray[np.int64]:
    """Count the occurrences of each known code, ``[K]``."""
    at_N = np.searchsorted(known_K, codes_N).clip(max=len(known_K) - 1)
    return np.bincount(at_N[known_K[at_N] == codes_N], minlength=len(known_K))
