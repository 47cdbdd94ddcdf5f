"""Cropped duplicates: the same image, cropped and resized to its original size.

The caller supplies candidate pairs, chosen by image content. For each pair, one image is compared
roughly with all windows of the other; the best window is then aligned precisely (Evangelidis and
Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30), and its content is compared as for shifted duplicates.

Shape letters: N images of S x S pixels, K candidates per image, P pairs, W windows along a side, G
cells along a side of a window.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.copies import phases_apart

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]
Places = NDArray[np.int64]

LEAST_SIDE = 16  # pixels; smaller images show too little to distinguish a crop from another image
CELLS = 12  # along a side of a window, for the rough comparison
STEPS = 16  # along a side, by which windows differ in size and position
SMALLEST, LARGEST = 0.6, 0.985  # share of a side that a crop keeps; more is not a crop
LIKELY = 0.85  # correlation of cells from which on a window is aligned
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
    either_way = [
        np.minimum(_apart(gray_NSS, block), _apart(gray_NSS, block[:, ::-1])) for block in blocks
    ]
    apart_P = np.concatenate([np.zeros(0, np.float32), *either_way])
    return pairs_P2[apart_P <= _most(apart_P, pairs_P2)]


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


def _apart(gray_NSS: Pictures, pairs_P2: Places) -> Floats:
    """Distance of the second image from the best window of the first, ``[P]``."""
    whole_PSS, cut_PSS = gray_NSS[pairs_P2[:, 0]], gray_NSS[pairs_P2[:, 1]]
    found_P = np.full(len(pairs_P2), NOTHING, np.float32)
    agreed_P, windows_P3 = _windows(whole_PSS, cut_PSS)
    fits = {
        place: shown_SS
        for place in np.flatnonzero(agreed_P >= LIKELY).tolist()
        if (shown_SS := _fitted(whole_PSS[place], cut_PSS[place], windows_P3[place])) is not None
    }
    if fits:
        found_P[list(fits)] = phases_apart(np.stack(list(fits.values())), cut_PSS[list(fits)])
    return found_P


def _cells(side: int, size: int, step: int) -> Floats:
    """Matrix ``[W * G, S]`` that averages a row of pixels over the cells of each window."""
    width = size / CELLS
    begins_WG = np.arange(0, side - size + 1, step)[:, None] + width * np.arange(CELLS)
    at_S = np.arange(side)
    overlap_WGS = np.minimum(begins_WG[..., None] + width, at_S + 1)
    overlap_WGS -= np.maximum(begins_WG[..., None], at_S)
    shares: Floats = (overlap_WGS.clip(0) / width).reshape(-1, side).astype(np.float32)
    return shares


def _windows(whole_PSS: Pictures, cut_PSS: Pictures) -> tuple[Floats, Floats]:
    """Find the window of one image that correlates most with another image.

    Returns:
        The correlation ``[P]``, and the window's size, top and left ``[P, 3]``.
    """
    side = whole_PSS.shape[1]
    step = max(1, side // STEPS)
    all_GS = _cells(side, side, step)
    wanted_PGH = all_GS @ cut_PSS.astype(np.float32) @ all_GS.T
    wanted_PGH -= wanted_PGH.mean(axis=(1, 2), keepdims=True)
    wanted_PGH /= np.linalg.norm(wanted_PGH, axis=(1, 2), keepdims=True).clip(1e-6)
    light_PSS = whole_PSS.astype(np.float32)
    most_P = np.full(len(whole_PSS), -1, np.float32)
    windows_P3 = np.zeros((len(whole_PSS), 3), np.float32)
    for size in range(side - step, int(SMALLEST * side), -step):
        cells_WS = _cells(side, size, step)
        count = len(cells_WS) // CELLS
        cells_PVGWH = (cells_WS @ light_PSS @ cells_WS.T).reshape(-1, count, CELLS, count, CELLS)
        agreed_PVW = np.einsum("pvgwh,pgh->pvw", cells_PVGWH, wanted_PGH)
        squares_PVW = np.einsum("pvgwh,pvgwh->pvw", cells_PVGWH, cells_PVGWH)
        squares_PVW -= (CELLS * cells_PVGWH.mean(axis=(2, 4))) ** 2
        agreed_PX = (agreed_PVW / np.sqrt(squares_PVW.clip(1))).reshape(len(agreed_PVW), -1)
        best_P = agreed_PX.argmax(axis=1)
        top_P, left_P = np.divmod(best_P, count)
        agreed_P = np.take_along_axis(agreed_PX, best_P[:, None], axis=1)[:, 0]
        better = agreed_P > most_P
        most_P[better] = agreed_P[better]
        sizes_P = np.full(len(best_P), size)
        windows_P3[better] = np.stack([sizes_P, step * top_P, step * left_P], axis=1)[better]
    return most_P, windows_P3


def _fitted(whole_SS: Pictures, cut_SS: Pictures, window: Floats) -> Pictures | None:
    """Content of a window after alignment; None if it is not a crop."""
    side = len(whole_SS)
    size, top, left = window.tolist()
    scale = size / side
    middle = (scale - 1) / 2  # in pixels, whose coordinates are those of their centers
    begin = np.array([[scale, 0, left + middle], [0, scale, top + middle]], np.float32)
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
