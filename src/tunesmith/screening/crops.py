"""Cropped duplicates: the same image, cropped and resized to its original size.

The caller supplies candidate pairs, chosen by image content. For each pair, one image is compared
with all windows of the other, both reduced; the best window is then aligned precisely (Evangelidis
and Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30), and its content is compared as for shifted duplicates.

Shape letters: N images of S x S pixels, K candidates per image, P pairs.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self, final

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.core.cores import cores
from tunesmith.data.decode import on_threads
from tunesmith.screening.colors import through
from tunesmith.screening.copies import phases_apart

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]
Places = NDArray[np.int64]

LEAST_SIDE = 16  # pixels; smaller images show too little to distinguish a crop from another image
REDUCED = 16  # pixels along a side, by which windows differ in size and position
SMALLEST, LARGEST = 0.6, 0.985  # share of a side that a crop keeps; more is not a crop
SIZES = range(REDUCED - 1, int(SMALLEST * REDUCED), -1)  # of reduced windows
LIKELY = 0.85  # correlation of reduced windows from which on one is aligned
STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-4)  # of that alignment
TURNED = 0.06  # largest off-diagonal entry of its affine map; a crop does not rotate
OUTSIDE = 0.04  # share of a side by which an aligned window may leave the image
NOTHING = 2.0  # phase distance if no window fits
# Distance limit of a crop: absolute, and a share of the 1 % quantile of the images' distances to
# their second-best candidates. Images of handwriting are all similar; photographs are not.
LOOSEST, UNRELATED, SHARE_OF_IT = 0.005, 0.01, 0.1
ROWS = 256  # pairs at a time


class Crops(NamedTuple):
    """Pairs of which the second image shows a part of the first.

    Attributes:
        pairs_P2: Indices of the whole image and of the crop, sorted, each pair once.
        windows_P23: Affine maps from places in the crop to places in the whole image, ``(x, y)``
            as shares of the sides.
    """

    pairs_P2: Places
    windows_P23: Floats


def find_crops(gray_NSS: Pictures, candidates_NK: Places) -> Crops:
    """Find pairs in which one image is a crop of the other.

    Args:
        gray_NSS: Square gray images; see `copies.comparable`.
        candidates_NK: For each image, indices of possible crops or originals of it.

    Example:
        >>> rough = np.random.default_rng(0).normal(128, 200, (9, 32, 32)).astype(np.float32)
        >>> x_NSS = np.stack([cv2.GaussianBlur(x, (0, 0), 2) for x in rough]).astype(np.uint8)
        >>> x_NSS[3] = cv2.resize(x_NSS[7, 2:29, 4:31], (32, 32))
        >>> found = find_crops(x_NSS, (np.arange(9)[:, None] + np.arange(1, 9)) % 9)
        >>> found.pairs_P2.tolist(), (32 * found.windows_P23[0, :, 2]).round().tolist()
        ([[7, 3]], [4.0, 2.0])

    """
    count, most = candidates_NK.shape
    if gray_NSS.shape[1] < LEAST_SIDE:
        return Crops(np.zeros((0, 2), np.int64), np.zeros((0, 2, 3), np.float32))
    asked_P = np.arange(count).repeat(most)
    one_way_P2 = np.stack([asked_P, candidates_NK.reshape(-1)], axis=1)
    pairs_P2 = np.unique(np.sort(one_way_P2, axis=1), axis=0)
    blocks = [pairs_P2[begin : begin + ROWS] for begin in range(0, len(pairs_P2), ROWS)]
    reduced = _Reduced.of(gray_NSS)

    def both_ways(pairs_P2: Places) -> tuple[Floats, Crops]:
        one_P, one_P23 = _apart(gray_NSS, reduced, pairs_P2)
        other_P, other_P23 = _apart(gray_NSS, reduced, pairs_P2[:, ::-1])
        is_other_P = other_P < one_P
        return np.minimum(one_P, other_P), Crops(
            np.where(is_other_P[:, None], pairs_P2[:, ::-1], pairs_P2),
            np.where(is_other_P[:, None, None], other_P23, one_P23),
        )

    # OpenCV, which does most of the work, holds no lock.
    compared = list(on_threads(both_ways, blocks, cores()))
    apart_P = np.concatenate([np.zeros(0, np.float32), *(apart_P for apart_P, _ in compared)])
    is_crop_P = apart_P <= _most(apart_P, pairs_P2)
    found_P2 = np.concatenate([pairs_P2[:0], *(crops.pairs_P2 for _, crops in compared)])
    windows = [np.zeros((0, 2, 3), np.float32), *(crops.windows_P23 for _, crops in compared)]
    order_C = np.lexsort(found_P2[is_crop_P].T[::-1])
    return Crops(found_P2[is_crop_P][order_C], np.concatenate(windows)[is_crop_P][order_C])


def _most(apart_P: Floats, pairs_P2: Places) -> float:
    """Largest distance of two images that counts as a crop."""
    order_P = np.argsort(apart_P, kind="stable")
    pictures_X, apart_X = pairs_P2[order_P].reshape(-1), apart_P[order_P].repeat(2)
    by_picture_X = np.argsort(pictures_X, kind="stable")
    pictures_X = pictures_X[by_picture_X]
    rank_X = np.arange(len(pictures_X)) - np.searchsorted(pictures_X, pictures_X)
    second = apart_X[by_picture_X][rank_X == 1]
    unrelated = float(np.quantile(second, UNRELATED)) if len(second) else NOTHING
    return min(LOOSEST, SHARE_OF_IT * unrelated)


@final
@dataclass(frozen=True)
class _Reduced:
    """Reduced images.

    Attributes:
        whole_NRR: Whole images of ``REDUCED`` pixels a side.
        cuts: The images as windows of each size, by size.
    """

    whole_NRR: Pictures
    cuts: dict[int, Pictures]

    @classmethod
    def of(cls, gray_NSS: Pictures) -> Self:
        """Reduce images to all sizes."""
        return cls(_resized(gray_NSS, REDUCED), {size: _resized(gray_NSS, size) for size in SIZES})

    def window(self, whole: int, cut: int) -> tuple[float, Floats]:
        """Find the window of one image that correlates most with another image.

        Returns:
            The correlation, and the window's size, top and left, as shares of a side.
        """
        most, window = -1.0, (0, 0, 0)
        for size, cut_NSS in self.cuts.items():
            agreed = cv2.matchTemplate(self.whole_NRR[whole], cut_NSS[cut], cv2.TM_CCOEFF_NORMED)
            _, highest, _, (left, top) = cv2.minMaxLoc(agreed)
            if highest > most:
                most, window = highest, (size, top, left)
        return most, np.array(window, np.float32) / np.float32(REDUCED)


def _resized(gray_NSS: Pictures, size: int) -> Pictures:
    found_NSS = np.empty((len(gray_NSS), size, size), np.uint8)
    for x_SS, found_SS in zip(gray_NSS, found_NSS, strict=True):
        cv2.resize(x_SS, (size, size), dst=found_SS, interpolation=cv2.INTER_AREA)
    return found_NSS


def _apart(gray_NSS: Pictures, reduced: _Reduced, pairs_P2: Places) -> tuple[Floats, Floats]:
    """Distance of the second image from the best window of the first, ``[P]``, and that window."""
    found_P = np.full(len(pairs_P2), NOTHING, np.float32)
    windows_P23 = np.zeros((len(pairs_P2), 2, 3), np.float32)
    shown: dict[int, Pictures] = {}
    for place, (whole, cut) in enumerate(pairs_P2.tolist()):
        agreed, window = reduced.window(whole, cut)
        if agreed < LIKELY:
            continue
        if (fit := _fitted(gray_NSS[whole], gray_NSS[cut], window)) is not None:
            windows_P23[place] = fit
            shown[place] = through(gray_NSS[whole][..., None], fit)[..., 0]
    if shown:
        cut_PSS = gray_NSS[pairs_P2[list(shown), 1]]
        found_P[list(shown)] = phases_apart(np.stack(list(shown.values())), cut_PSS)
    return found_P, windows_P23


def _fitted(whole_SS: Pictures, cut_SS: Pictures, window: Floats) -> Floats | None:
    """Map from a crop to its window after alignment; None if it is not a crop."""
    side = len(whole_SS)
    scale, top, left = window.tolist()
    middle = (scale - 1) / 2  # in pixels, whose coordinates are those of their centers
    begin = np.array(
        [[scale, 0, side * left + middle], [0, scale, side * top + middle]], np.float32
    )
    try:
        _, fit = cv2.findTransformECC(cut_SS, whole_SS, begin, cv2.MOTION_AFFINE, STOP)
    except cv2.error:  # it does not converge
        return None
    if not _is_crop(fit.astype(np.float32), side):
        return None
    # From pixels, whose coordinates are those of their centers, to shares of a side.
    found = fit.astype(np.float32)
    found[:, 2] = (found[:, 2] + (1 - found[:, :2].sum(axis=1)) / 2) / side
    return found


def _is_crop(fit: NDArray[np.float32], side: int) -> bool:
    """Whether an affine map leads to an upright window that is smaller than the image."""
    scales = fit[[0, 1], [0, 1]]
    corners = fit[:, :2] @ [[0, side - 1], [0, side - 1]] + fit[:, 2:]
    outside = max(-corners.min(), corners.max() - (side - 1))
    return bool(
        scales.min() >= SMALLEST
        and np.sqrt(scales.prod()) <= LARGEST
        and np.abs(fit[[0, 1], [1, 0]]).max() <= TURNED
        and outside <= OUTSIDE * side
    )
