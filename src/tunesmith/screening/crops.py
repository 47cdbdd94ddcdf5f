"""Cropped duplicates: the same image, cropped and resized to its original size.

The caller supplies candidate pairs, chosen by image content. For each pair, one image is compared
with all windows of the other, both reduced; the best window is then aligned precisely (Evangelidis
and Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30), and its content is compared as for shifted duplicates.

Shape letters: N images of S x S pixels, K candidates per image, P pairs.
"""

from dataclasses import dataclass
from typing import Self, final

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.core.cores import cores
from tunesmith.data.decode import on_threads
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


def find_crops(gray_NSS: Pictures, candidates_NK: Places) -> Places:
    """Find pairs in which one image is a crop of the other.

    Args:
        gray_NSS: Square gray images; see `copies.comparable`.
        candidates_NK: For each image, indices of possible crops or originals of it.

    Returns:
        Indices of both images, ``[P, 2]``, the smaller first; sorted, each pair once.

    Example:
        >>> rough = np.random.default_rng(0).normal(128, 200, (9, 32, 32)).astype(np.float32)
        >>> x_NSS = np.stack([cv2.GaussianBlur(x, (0, 0), 2) for x in rough]).astype(np.uint8)
        >>> x_NSS[7] = cv2.resize(x_NSS[3, 2:29, 4:31], (32, 32))
        >>> find_crops(x_NSS, (np.arange(9)[:, None] + np.arange(1, 9)) % 9).tolist()
        [[3, 7]]

    """
    count, most = candidates_NK.shape
    if gray_NSS.shape[1] < LEAST_SIDE:
        return np.zeros((0, 2), np.int64)
    asked_P = np.arange(count).repeat(most)
    one_way_P2 = np.stack([asked_P, candidates_NK.reshape(-1)], axis=1)
    pairs_P2 = np.unique(np.sort(one_way_P2, axis=1), axis=0)
    blocks = [pairs_P2[begin : begin + ROWS] for begin in range(0, len(pairs_P2), ROWS)]
    reduced = _Reduced.of(gray_NSS)

    def apart(pairs_P2: Places) -> Floats:
        one_way_P = _apart(gray_NSS, reduced, pairs_P2)
        return np.minimum(one_way_P, _apart(gray_NSS, reduced, pairs_P2[:, ::-1]))

    # OpenCV, which does most of the work, holds no lock.
    apart_P = np.concatenate([np.zeros(0, np.float32), *on_threads(apart, blocks, cores())])
    found_P2: Places = pairs_P2[apart_P <= _most(apart_P, pairs_P2)]
    return found_P2


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


def _apart(gray_NSS: Pictures, reduced: _Reduced, pairs_P2: Places) -> Floats:
    """Distance of the second image from the best window of the first, ``[P]``."""
    found_P = np.full(len(pairs_P2), NOTHING, np.float32)
    fits: dict[int, Pictures] = {}
    for place, (whole, cut) in enumerate(pairs_P2.tolist()):
        agreed, window = reduced.window(whole, cut)
        if agreed < LIKELY:
            continue
        if (shown_SS := _fitted(gray_NSS[whole], gray_NSS[cut], window)) is not None:
            fits[place] = shown_SS
    if fits:
        cut_PSS = gray_NSS[pairs_P2[list(fits), 1]]
        found_P[list(fits)] = phases_apart(np.stack(list(fits.values())), cut_PSS)
    return found_P


def _fitted(whole_SS: Pictures, cut_SS: Pictures, window: Floats) -> Pictures | None:
    """Content of a window after alignment; None if it is not a crop."""
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
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    shown_SS = cv2.warpAffine(
        whole_SS, fit, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shown_SS, np.uint8)


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
