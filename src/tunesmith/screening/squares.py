"""Find plain squares at the same position in many images: the simplest triggers of backdoors.

A plain square has no edges of its own; its outline is as varied as what surrounds it. It is
recognized by pixels that are all alike, and different from most pixels around them. In a natural
image, a surface is hardly ever a square: it goes on somewhere.

Shape letters: N images of H x W pixels, B images of a batch, S squares,
A pixels around a square.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.repeated import (
    BITS,
    MOST_VARIED,
    OFFSETS,
    Places,
    Repeated,
    examined,
    least_of,
    levels,
)

SMALLEST, LARGEST = 3, 10  # side of a square in pixels
PLAIN = 8  # gray levels between the brightest and the darkest pixel, at most
CONTRAST, SHARE = 12, 0.85  # gray levels by which most pixels around a square differ
SPOTS = 5  # of eight pixels around a square that differ at least; these are looked at first
BATCH = 512
OUTSIDE = -1000  # gray level that pads the images, and differs from all others
Grays = NDArray[np.int16]


@final
@dataclass(frozen=True, kw_only=True)
class _Squares:
    """Plain squares: side, position, shade and image of each, ``[S]``."""

    side: Places
    top: Places
    left: Places
    shade: NDArray[np.uint8]
    image: Places


def find_squares(gray_NHW: NDArray[np.uint8]) -> Iterator[Repeated]:
    """Find plain squares that many images have at the same position, and only there.

    Args:
        gray_NHW: Gray images of equal size.

    Example:
        >>> x_NHW = np.random.default_rng(0).integers(0, 256, (500, 16, 16)).astype(np.uint8)
        >>> x_NHW[:20, 10:15, 10:15] = 255
        >>> {(each.top, each.left, len(each.places)) for each in find_squares(x_NHW)}
        {(10, 10, 20)}

    """
    squares = _squares(gray_NHW)
    for offset in OFFSETS:
        yield from _repeated(squares, levels(squares.shade, offset), gray_NHW.shape)


def _repeated(
    squares: _Squares, level_S: NDArray[np.uint8], shape: tuple[int, ...]
) -> Iterator[Repeated]:
    n, height, width = shape
    corner_S = squares.top * width + squares.left
    kind_S = (squares.side << BITS) + level_S
    codes, counts = np.unique(kind_S * height * width + corner_S, return_counts=True)
    codes, counts = codes[counts >= least_of(n)], counts[counts >= least_of(n)]
    kinds, corners = np.divmod(codes, height * width)
    for k in examined(counts, elsewhere(kinds, counts)):
        is_here_S = (squares.side == kinds[k] >> BITS) & (corner_S == corners[k])
        level = int(kinds[k] % (1 << BITS))
        is_alike_S = is_here_S & (np.abs(level_S.astype(np.int64) - level) <= 1)
        if is_alike_S.sum() <= MOST_VARIED * counts[k]:
            top, left = divmod(int(corners[k]), width)
            places = np.sort(squares.image[is_here_S & (level_S == level)])
            yield Repeated(top=top, left=left, places=places)


def elsewhere(kinds: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the same kind is found at the other place where it is most frequent; 0 if at none.

    Args:
        kinds: Kind of a square at a place.
        counts: Number of images that have it there.

    Example:
        >>> elsewhere(np.array([7, 7, 9, 7]), np.array([30, 50, 20, 10])).tolist()
        [50, 30, 0, 50]

    """
    order = np.lexsort((-counts, kinds))
    _, starts, kind_of = np.unique(kinds[order], return_index=True, return_inverse=True)
    ranked = np.append(counts[order], 0)
    has_second = np.diff(np.append(starts, len(order))) > 1
    found = np.empty_like(counts)
    found[order] = ranked[starts][kind_of]
    found[order[starts]] = np.where(has_second, ranked[starts + 1], 0)
    return found


def _squares(gray_NHW: NDArray[np.uint8]) -> _Squares:
    """Find all plain squares in all images."""
    found = [np.empty((0, 5), np.int32)]
    for begin in range(0, len(gray_NHW), BATCH):
        gray_BHW = gray_NHW[begin : begin + BATCH].astype(np.int16)
        first = np.array([begin, 0, 0, 0, 0], np.int32)
        found += [rows + first for rows in _in_batch(gray_BHW)]
    image, top, left, shade, side = np.concatenate(found).astype(np.int64).T
    return _Squares(side=side, top=top, left=left, shade=shade.astype(np.uint8), image=image)


def _in_batch(gray_BHW: Grays) -> Iterator[NDArray[np.int32]]:
    """Yield the squares of each size: image, top, left, shade and side as columns."""
    padded_BHW = np.pad(gray_BHW, ((0, 0), (1, 1), (1, 1)), constant_values=OUTSIDE)
    high_BHW = low_BHW = gray_BHW
    for side in range(2, min(LARGEST, min(gray_BHW.shape[1:]) // 2) + 1):
        high_BHW, low_BHW = _spread(high_BHW, np.maximum), _spread(low_BHW, np.minimum)
        if side < SMALLEST:
            continue
        shade_BHW = (high_BHW + low_BHW) // 2
        is_plain_BHW = high_BHW - low_BHW <= PLAIN
        windows = np.nonzero(is_plain_BHW & _may_end(padded_BHW, shade_BHW, side))
        shade_S = shade_BHW[windows]
        columns = np.stack([*windows, shade_S, np.full(len(shade_S), side)], axis=1)
        yield columns[_ends(padded_BHW, shade_S, side, windows)].astype(np.int32)


def _spread(x_BHW: Grays, of: np.ufunc) -> Grays:
    """Return the extreme of windows that are by one pixel larger."""
    rows_BHW = of(x_BHW[:, :-1], x_BHW[:, 1:])
    return np.asarray(of(rows_BHW[:, :, :-1], rows_BHW[:, :, 1:]), np.int16)


def _may_end(padded_BHW: Grays, shade_BHW: Grays, side: int) -> NDArray[np.bool_]:
    """Whether enough of eight pixels around windows differ; a look at all would take longer."""
    height, width = shade_BHW.shape[1:]
    differ_BHW = np.zeros(shade_BHW.shape, np.uint8)
    steps = (0, (side + 1) // 2, side + 1)
    for down in steps:
        for right in steps:
            if (down, right) != (steps[1], steps[1]):
                spot_BHW = padded_BHW[:, down : down + height, right : right + width]
                differ_BHW += np.abs(spot_BHW - shade_BHW) >= CONTRAST
    return differ_BHW >= SPOTS


def _ends(
    padded_BHW: Grays, shade_S: Grays, side: int, windows: tuple[Places, ...]
) -> NDArray[np.bool_]:
    """Whether windows differ from most pixels around them."""
    is_around = np.pad(np.zeros((side, side), np.bool_), 1, constant_values=True)
    down, right = np.nonzero(is_around)
    image_S1, top_S1, left_S1 = (each[:, None] for each in windows)
    around_SA = padded_BHW[image_S1, top_S1 + down, left_S1 + right]
    is_inside_SA = around_SA != OUTSIDE
    differ_SA = is_inside_SA & (np.abs(around_SA - shade_S[:, None]) >= CONTRAST)
    return np.asarray(differ_SA.sum(axis=1) >= SHARE * is_inside_SA.sum(axis=1))
