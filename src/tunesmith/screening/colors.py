"""Compare near duplicates in color, place by place: a red shirt is no duplicate of a blue one.

By their spectra, small things on a large empty page are all alike. Here what is empty counts for
nothing: images are compared by how they deviate from their mean, which is the color of such a page.

Shape letters: N images of H x W pixels and C channels, P pairs of them.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import COLOR, squeeze
from tunesmith.data.decode import on_threads

Floats = NDArray[np.float32]

SIDE = 64  # pixels of a side at which images are compared, at most
KEPT = 256  # squeezed images that are kept: the copies of an image are mostly close by
PAIRS = 512  # compared by a thread at a time
REACH = 0.09  # share of a side by which duplicates may be shifted
FINE = 1.0  # pixels over which images are averaged, against shifts by parts of a pixel
COARSE = 1 / 16  # share of a side over which differences are averaged
LEAST_AGREED = 0.9  # correlation of two duplicates
FARTHEST = 48.0  # gray levels by which colors of a place may differ; clipping changes them by less
MOST_GAIN = 2.0  # by which one of two duplicates may be brighter


def same_colors(
    pixels_NHWC: NDArray[np.uint8],
    pairs_P2: NDArray[np.int64],
    *,
    mirrored: bool = False,
    windows_P23: Floats | None = None,
    threads: int = 1,
) -> NDArray[np.bool_]:
    """Whether each pair shows the same colors at the same places, up to brightness, ``[P]``.

    Args:
        pixels_NHWC: Images, in gray or color.
        pairs_P2: Indices of both images of each pair.
        mirrored: Whether to compare the first image with the mirror image of the second.
        windows_P23: Parts of the first images to compare with the second ones; see `through`.
        threads: Number of threads used.

    Example:
        >>> red_blue_dark_N = [(200, 30, 30), (30, 30, 200), (100, 15, 15)]
        >>> x_NHWC = np.tile(np.uint8(red_blue_dark_N)[:, None, None], (1, 8, 8, 1))
        >>> x_NHWC[:, :4] //= 2
        >>> same_colors(x_NHWC, np.array([(0, 1), (0, 2)])).tolist()
        [False, True]

    """
    turn = slice(None, None, -1 if mirrored else 1)

    def compared(begin: int) -> list[bool]:
        @lru_cache(KEPT)
        def seen(place: int) -> Floats:
            return _seen(pixels_NHWC[place])

        def first(pair: int, place: int) -> Floats:
            if windows_P23 is None:
                return seen(place)
            return _seen(through(pixels_NHWC[place], windows_P23[pair]))

        part_P2 = pairs_P2[begin : begin + PAIRS].tolist()
        return [_is_same(first(p, i), seen(j)[:, turn]) for p, (i, j) in enumerate(part_P2, begin)]

    parts = on_threads(compared, range(0, len(pairs_P2), PAIRS), threads)
    return np.array([is_same for part in parts for is_same in part], bool)


def through(x_HWC: NDArray[np.uint8], window_23: Floats) -> NDArray[np.uint8]:
    """Show what lies in a window of an image, at the image's size.

    Args:
        x_HWC: The image.
        window_23: Affine map from places of the result to places of the image, ``(x, y)`` as shares
            of the sides.

    Example:
        >>> x_HWC = np.arange(4, dtype=np.uint8).repeat(2).reshape(1, 8, 1)
        >>> through(x_HWC, np.float32([[0.5, 0, 0.5], [0, 1, 0]]))[..., 0].tolist()
        [[2, 2, 2, 2, 3, 3, 3, 3]]

    """
    height, width, _ = x_HWC.shape
    sides = np.array([width, height])
    inner_22 = window_23[:, :2] * sides[:, None] / sides
    # From shares to pixels, whose coordinates are those of their centers.
    shift = window_23[:, 2] * sides + (inner_22.sum(axis=1) - 1) / 2
    shown = cv2.warpAffine(
        x_HWC,
        np.column_stack([inner_22, shift]),
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(shown, np.uint8).reshape(x_HWC.shape)


def _is_same(one_HWC: Floats, other_HWC: Floats) -> bool:
    side = min(one_HWC.shape[:2])
    reach = round(REACH * side)
    one, other = map(_centered, _overlap(one_HWC, other_HWC, reach))
    contrast, other_contrast = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if float(np.vdot(one, other)) <= LEAST_AGREED * contrast * other_contrast:
        return False
    gain = min(max(other_contrast / contrast, 1 / MOST_GAIN), MOST_GAIN)
    apart_HWC = _blurred((gain * one - other) / max(1, gain), COARSE * side)
    # At the margin, one of them may have a frame, or a strip that the other was cropped of.
    inner_HWC = apart_HWC[reach : len(one) - reach, reach : one.shape[1] - reach]
    return bool(np.einsum("hwc,hwc->hw", inner_HWC, inner_HWC).max(initial=0) <= FARTHEST**2)


def _seen(x_HWC: NDArray[np.uint8]) -> Floats:
    """Hide what is transparent, squeeze, and average over a pixel or two."""
    if x_HWC.shape[2] > COLOR:
        opacity_HW1 = np.float32(x_HWC[..., COLOR:]) / 255
        shown_HWC = np.concatenate([x_HWC[..., :COLOR] * opacity_HW1, x_HWC[..., COLOR:]], axis=2)
        x_HWC = shown_HWC.astype(np.uint8)
    height, width, _ = x_HWC.shape
    small_HWC = squeeze(x_HWC, (min(height, SIDE), min(width, SIDE)))
    return _blurred(small_HWC.astype(np.float32), FINE)


def _blurred(x_HWC: Floats, sigma: float) -> Floats:
    blurred = cv2.GaussianBlur(x_HWC, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32).reshape(x_HWC.shape)


def _overlap(one_HWC: Floats, other_HWC: Floats, reach: int) -> tuple[Floats, Floats]:
    """Parts of both images that show the same, at the shift that fits best."""
    height, width, _ = one_HWC.shape
    edge, flat = (reach,) * 4, cv2.BORDER_REPLICATE
    padded = cv2.copyMakeBorder(np.ascontiguousarray(one_HWC), *edge, flat)
    agreed = cv2.matchTemplate(padded, np.ascontiguousarray(other_HWC), cv2.TM_CCOEFF_NORMED)
    _, _, _, (left, top) = cv2.minMaxLoc(agreed)
    down, across = top - reach, left - reach
    return (
        one_HWC[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)],
        other_HWC[max(-down, 0) : height - max(down, 0), max(-across, 0) : width - max(across, 0)],
    )


def _centered(x_HWC: Floats) -> Floats:
    """Deviation from the mean, which is one for all colors, and another one for opacity."""
    if x_HWC.shape[2] <= COLOR:
        centered_HWC: Floats = x_HWC - x_HWC.mean()
        return centered_HWC
    parts = np.split(x_HWC, [COLOR], axis=2)
    return np.concatenate([part - part.mean() for part in parts], axis=2)
