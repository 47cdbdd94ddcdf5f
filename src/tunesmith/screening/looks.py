"""Describe the look of images by a few statistics, and find outliers.

Shape letters: N images of H x W pixels with C channels.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Statistic -> description of an image with a far smaller value than the others, and far larger.
UNLIKE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "brightness": ("much darker than the others", "much brighter than the others"),
        "contrast": ("nearly of one shade", "much richer in contrast than the others"),
        "sharpness": ("blurred", "much noisier than the others"),
        "colorfulness": ("without the color that the others have", "much more colorful"),
        "pixels": ("much smaller than the others", "much larger than the others"),
        "aspect": ("much narrower than the others", "much wider than the others"),
    }
)
BY_FACTOR = ("contrast", "sharpness", "pixels", "aspect")  # compared by ratio: half equals double
COMMON = 0.025  # quantile that bounds common values at either end
FAR = 3.0  # outliers are this many times as far from the median as that quantile
BATCH, MOST_PIXELS = 1024, 4_000_000  # images at a time, and their pixels
LEAST_CONTRAST = 0.008  # two gray levels
# If nearly all values are equal, their quantiles are no scale: 640 x 478 among 640 x 480 is not
# wide. So an outlier must also differ from the median by this much (by ratio: in its logarithm).
LEAST = MappingProxyType(
    {"brightness": 0.1, "colorfulness": 0.05, "pixels": math.log(1.5), "aspect": math.log(1.5)}
)
WHITE = 255
GRID, LEVELS = 16, 8  # points of a side, and shades of a channel, by which a background is found


def measure(x_NHWC: NDArray[np.uint8], shapes_N2: NDArray[np.int64]) -> Mapping[str, Floats]:
    """Compute the statistics named in `UNLIKE` for each image, ``[N]`` each.

    Brightness is the mean and contrast the standard deviation of gray values from 0 to 1. Sharpness
    is the mean absolute Laplacian divided by the contrast. Colorfulness is the mean difference
    between a pixel's largest and smallest channel. Alpha is ignored.

    Args:
        x_NHWC: Images, resized to one size.
        shapes_N2: Original height and width of each image.
    """
    found = {name: np.empty(len(x_NHWC), np.float32) for name in UNLIKE}
    step = max(1, min(BATCH, MOST_PIXELS // max(1, x_NHWC.shape[1] * x_NHWC.shape[2])))
    for begin in range(0, len(x_NHWC), step):
        some = slice(begin, begin + step)
        for name, values_B in _measure(x_NHWC[some, ..., :3]).items():
            found[name][some] = values_B
    found["pixels"][:] = shapes_N2.prod(axis=1)
    found["aspect"][:] = shapes_N2[:, 1] / shapes_N2[:, 0]
    return found


def _measure(x_BHWC: NDArray[np.uint8]) -> dict[str, Floats]:
    # Channel by channel, which is several times as fast as along so short an axis.
    channels = [
        x_BHWC[..., c].astype(np.float32) / np.float32(WHITE) for c in range(x_BHWC.shape[3])
    ]
    gray_BHW = sum(channels[1:], start=channels[0]) / np.float32(len(channels))
    color_BHW = np.maximum.reduce(channels) - np.minimum.reduce(channels)
    contrast_B = gray_BHW.std(axis=(1, 2))
    inner_BHW = gray_BHW[:, 1:-1, 1:-1]
    around_BHW = gray_BHW[:, :-2, 1:-1] + gray_BHW[:, 2:, 1:-1]
    around_BHW += gray_BHW[:, 1:-1, :-2] + gray_BHW[:, 1:-1, 2:]
    edges_BHW = np.abs(4 * inner_BHW - around_BHW)
    # A side of one or two pixels has no inner ones.
    edges_B = edges_BHW.mean(axis=(1, 2)) if edges_BHW[:1].size else np.zeros_like(contrast_B)
    return {
        "brightness": gray_BHW.mean(axis=(1, 2)),
        "contrast": contrast_B,
        "sharpness": edges_B / contrast_B.clip(1 / WHITE),
        "colorfulness": color_BHW.mean(axis=(1, 2)),
    }


def backgrounds(x_NHWC: NDArray[np.uint8]) -> Floats:
    """Color of the background of each image, ``[N, C]``: mean of its most frequent shade.

    Example:
        >>> x_NHWC = np.full((1, 9, 9, 3), (250, 90, 20), np.uint8)
        >>> x_NHWC[0, 2:6, 2:6] = np.arange(48).reshape(4, 4, 3)
        >>> backgrounds(x_NHWC).tolist()
        [[250.0, 90.0, 20.0]]

    """
    count, height, width, channels = x_NHWC.shape
    steps = -(-height // GRID), -(-width // GRID)
    found_NC = np.empty((count, channels), np.float32)
    for begin in range(0, count, BATCH):
        x_BHWC = x_NHWC[begin : begin + BATCH, :: steps[0], :: steps[1]]
        found_NC[begin : begin + BATCH] = _most_frequent(x_BHWC.reshape(len(x_BHWC), -1, channels))
    return found_NC


def _most_frequent(x_BPC: NDArray[np.uint8]) -> Floats:
    """Mean of the pixels of each image's most frequent shade, ``[B, C]``."""
    shades = LEVELS ** x_BPC.shape[2]
    places = LEVELS ** np.arange(x_BPC.shape[2])
    shade_BP = (x_BPC // (256 // LEVELS)).astype(np.int64) @ places
    number_BP = shade_BP + shades * np.arange(len(x_BPC))[:, None]
    counts_BS = np.bincount(number_BP.reshape(-1), minlength=shades * len(x_BPC))
    most_B = counts_BS.reshape(len(x_BPC), shades).argmax(axis=1)
    is_most_BP = (shade_BP == most_B[:, None]).astype(np.float32)
    sums_BC = np.einsum("bp,bpc->bc", is_most_BP, x_BPC.astype(np.float32))
    mean_BC: Floats = sums_BC / is_most_BP.sum(axis=1, keepdims=True)
    return mean_BC


def unlike(looks: Mapping[str, Floats]) -> tuple[NDArray[np.int64], Floats]:
    """Find the statistic in which each image differs most from the others.

    Returns:
        Index of that statistic in `UNLIKE`, and the image's outlier score in it, ``[N]`` each; see
        `far_out`.
    """
    values = {
        name: np.log(looks[name].clip(1e-3)) if name in BY_FACTOR else looks[name]
        for name in UNLIKE
    }
    has_edges_N = looks["contrast"] > LEAST_CONTRAST  # without any, nothing can be blurred
    values["sharpness"] = np.where(
        has_edges_N, values["sharpness"], np.median(values["sharpness"])
    ).astype(np.float32)
    far_MN = np.stack([_far(each, LEAST.get(name, 0.0)) for name, each in values.items()])
    worst_N = np.abs(far_MN).argmax(axis=0)
    return worst_N, np.take_along_axis(far_MN, worst_N[None], axis=0)[0]


def _far(values_N: Floats, least: float) -> Floats:
    """Outlier score of each value; 0 within ``least`` of the median."""
    is_far_N = np.abs(values_N - np.median(values_N)) >= least
    return np.where(is_far_N, far_out(values_N), 0).astype(np.float32)


def far_out(values_N: Floats) -> Floats:
    """Outlier score of each value, ``[N]``: beyond 1 or -1 it is an outlier.

    The scale is the range of common values, separately on either side of the median, so that a
    skewed distribution has no outliers merely because of its skew.

    Example:
        >>> values_N = np.append(np.linspace(0, 1, 99), 20).astype(np.float32)
        >>> np.flatnonzero(np.abs(far_out(values_N)) > 1)
        array([99])

    """
    low, middle, high = np.quantile(values_N, [COMMON, 0.5, 1 - COMMON])
    least = 1e-3 * max(1.0, abs(float(middle)))  # where nearly all are equal
    above_N = (values_N - middle) / (FAR * max(high - middle, least))
    below_N = (values_N - middle) / (FAR * max(middle - low, least))
    out_N: Floats = np.where(values_N >= middle, above_N, below_N).astype(np.float32)
    return out_N
