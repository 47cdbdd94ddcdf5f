"""Find small patterns at the same position in many images: watermarks or backdoor triggers.

A backdoor attack stamps some images with a small pattern and labels them as the attacker's target,
so that the network learns to respond to the pattern (Gu, Dolan-Gavitt and Garg 2017, "BadNets",
arXiv:1708.06733). Natural content is hardly ever at one exact position: an edge that is common
somewhere is also common one pixel further on. A stamp is not. And if images are so small, or so
much enlarged, that each position has edges of its own, these come in many shades. A stamp does not.
A plain square has no edges of its own: it is recognized by the different pixels around it.

Shape letters: N images of H x W pixels, P positions of a patch.
"""

import itertools
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

SIDE = 3  # side of a patch in pixels
BITS = 3  # bits of a gray level that count
LEAST_CONTRAST = 4  # of these eight levels; a patch with less is not a pattern
SQUARE_CONTRAST, SQUARE_SHARE = 2, 0.75  # levels by which most pixels around a square differ
LEAST_SHARE, LEAST_COUNT = 0.001, 8  # of images with a pattern
MOST_SHARE = 0.5  # above it, a pattern is the background
RARER_ELSEWHERE = 6.0  # times as frequent as at any other position
MOST_VARIED = 3.0  # times as many images that have it in similar shades; edges: 4 to 35
CHANCE = 1  # images added to the count elsewhere, to allow for chance
PLACE_VALUES = (1 << (BITS * np.arange(SIDE**2))).astype(np.int32)


@final
@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A pattern that is too frequent at its position.

    Attributes:
        top: Its top row.
        left: Its leftmost column.
        places: Indices of the images with the pattern, ascending.
        elsewhere: Number of images with it at its most frequent other position.
    """

    top: int
    left: int
    places: Places
    elsewhere: int


def find_repeated(gray_NHW: NDArray[np.uint8]) -> tuple[Repeated, ...]:
    """Find patterns of 3 x 3 pixels that many images have at the same position, and only there.

    Of overlapping patterns, the most frequent is returned.

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
    found: list[Repeated] = []
    # A gray level at the border of two of the eight levels is in the middle with the offset.
    for offset in (0, 1 << (7 - BITS)):
        lifted_NHW = np.minimum(gray_NHW, 255 - offset) + np.uint8(offset)
        found += _repeated((lifted_NHW >> (8 - BITS)).astype(np.uint8))
    found.sort(key=lambda each: -len(each.places))
    chosen: list[Repeated] = []
    for each in found:
        if not any(_overlap(each, other) for other in chosen):
            chosen.append(each)
    # Only now, so that patterns that overlap with the background are dropped with it.
    return tuple(each for each in chosen if len(each.places) <= MOST_SHARE * len(gray_NHW))


def _repeated(levels_NHW: NDArray[np.uint8]) -> list[Repeated]:
    n, height, width = levels_NHW.shape
    least = max(LEAST_COUNT, int(LEAST_SHARE * n))
    corners = list(itertools.product(range(height - SIDE + 1), range(width - SIDE + 1)))
    common: list[tuple[int, int, int]] = []  # pattern, its position, number of images
    for place, corner in enumerate(corners):
        codes, counts = np.unique(_patterns(levels_NHW, *corner), return_counts=True)
        often = (counts >= least) & (codes >= 0)
        common += [
            (int(code), place, int(count))
            for code, count in zip(codes[often], counts[often], strict=True)
        ]
    if not common:
        return []
    known = np.unique([code for code, _, _ in common])
    counts_PK = np.stack([_count(_patterns(levels_NHW, *corner), known) for corner in corners])
    found = []
    for code, place, count in common:
        elsewhere_P = np.delete(counts_PK[:, np.searchsorted(known, code)], place)
        most = int(elsewhere_P.max(initial=0))
        if count >= RARER_ELSEWHERE * (most + CHANCE):
            top, left = corners[place]
            places = np.flatnonzero(_patterns(levels_NHW, top, left) == code)
            if _count_alike(levels_NHW, top, left, int(places[0])) <= MOST_VARIED * count:
                found.append(Repeated(top=top, left=left, places=places, elsewhere=most))
    return found


def _count_alike(levels_NHW: NDArray[np.uint8], top: int, left: int, one: int) -> int:
    """Count images with about the same patch as one of them: no pixel is off by over a level."""
    cells_NHW = levels_NHW[:, top : top + SIDE, left : left + SIDE].astype(np.int8)
    is_alike_N = np.abs(cells_NHW - cells_NHW[one]).max(axis=(1, 2)) <= 1
    if np.ptp(cells_NHW[one]) == 0:  # plain surfaces are frequent, plain squares are not
        is_alike_N[is_alike_N] = _are_squares(levels_NHW[is_alike_N], top, left)
    return int(is_alike_N.sum())


def _patterns(levels_NHW: NDArray[np.uint8], top: int, left: int) -> NDArray[np.int32]:
    """Code of each image's patch, ``[N]``; -1 if it is not a pattern."""
    cells_N9 = levels_NHW[:, top : top + SIDE, left : left + SIDE].reshape(len(levels_NHW), -1)
    contrast_N = cells_N9.max(axis=1) - cells_N9.min(axis=1)
    is_pattern_N = contrast_N >= LEAST_CONTRAST
    plain = np.flatnonzero(contrast_N == 0)
    is_pattern_N[plain] = _are_squares(levels_NHW[plain], top, left)
    return np.where(is_pattern_N, cells_N9.astype(np.int32) @ PLACE_VALUES, np.int32(-1))


def _are_squares(plain_MHW: NDArray[np.uint8], top: int, left: int) -> NDArray[np.bool_]:
    """Whether plain patches differ from most pixels around them, ``[M]``."""
    around_MHW = plain_MHW[:, max(top - 1, 0) : top + SIDE + 1, max(left - 1, 0) : left + SIDE + 1]
    levels_M11 = plain_MHW[:, top, left].astype(np.int8)[:, None, None]
    differ_MHW = np.abs(around_MHW.astype(np.int8) - levels_M11) >= SQUARE_CONTRAST
    around = around_MHW.shape[1] * around_MHW.shape[2] - SIDE**2
    are_squares_M: NDArray[np.bool_] = differ_MHW.sum(axis=(1, 2)) >= SQUARE_SHARE * around
    return are_squares_M


def _count(codes_N: NDArray[np.int32], known_K: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the occurrences of each known code, ``[K]``."""
    at_N = np.searchsorted(known_K, codes_N).clip(max=len(known_K) - 1)
    return np.bincount(at_N[known_K[at_N] == codes_N], minlength=len(known_K))


def _overlap(one: Repeated, other: Repeated) -> bool:
    """Whether two patterns are parts of one: near each other, and mostly in the same images."""
    near = max(abs(one.top - other.top), abs(one.left - other.left)) <= 2 * SIDE
    if not near:
        return False
    shared = len(np.intersect1d(one.places, other.places, assume_unique=True))
    return shared >= 0.5 * min(len(one.places), len(other.places))
