"""Compare the colors of near duplicates: a red shirt is not a duplicate of a blue one.

Shape letters: N images of H x W pixels and C channels, P pairs of them.
"""

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import COLOR

FARTHEST = 20.0  # gray levels that mean colors may differ by; JPEG and shifts change them less
MOST_GAIN = 2.0  # by which one of two duplicates may be brighter


def same_colors(pixels_NHWC: NDArray[np.uint8], pairs_P2: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the mean colors of each pair agree up to brightness, ``[P]``.

    Args:
        pixels_NHWC: Images; gray ones always agree.
        pairs_P2: Indices of both images of each pair.

    Example:
        >>> red_blue_gray_N = [(200, 30, 30), (30, 30, 200), (90, 90, 90), (100, 15, 15)]
        >>> x_NHWC = np.tile(np.uint8(red_blue_gray_N)[:, None, None], (1, 8, 8, 1))
        >>> x_NHWC[:, :4] //= 2
        >>> same_colors(x_NHWC, np.array([(0, 1), (0, 2), (0, 3)])).tolist()
        [False, False, True]

    """
    if pixels_NHWC.shape[3] < COLOR:
        return np.ones(len(pairs_P2), bool)
    places, inverse = np.unique(pairs_P2, return_inverse=True)
    found = [_color_and_contrast(pixels_NHWC[place, ..., :COLOR]) for place in places]
    color_P22, contrast_P2 = (
        np.array([each[part] for each in found])[inverse.reshape(-1, 2)] for part in (0, 1)
    )
    gain_P = contrast_P2[:, 1] / contrast_P2[:, 0].clip(1)
    gain_P1 = gain_P.clip(1 / MOST_GAIN, MOST_GAIN)[:, None]
    apart_P2 = (color_P22[:, 1] - gain_P1 * color_P22[:, 0]) / gain_P1.clip(1)
    are_same_P: NDArray[np.bool_] = np.linalg.norm(apart_P2, axis=1) <= FARTHEST
    return are_same_P


def _color_and_contrast(x_HWC: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
    """Mean of red - green and of green - blue, and the standard deviation of gray levels."""
    red, green, blue = x_HWC.reshape(-1, COLOR).mean(axis=0)
    return np.array([red - green, green - blue]), float(x_HWC.mean(axis=2).std())
