"""How images look in a few numbers, and which of them look unlike the rest.

Shape letters: N images of H x W pixels with C channels.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Name of a number -> what an image is that has far less of it than the others, and far more.
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
BY_FACTOR = ("contrast", "sharpness", "pixels", "aspect")  # half as much is as far as twice as much
COMMON = 0.025  # share of images at either end that is as far out as common images get
FAR = 3.0  # times as far from the median as those: far out
BATCH, MOST_PIXELS = 1024, 4_000_000  # images at a time, and their pixels
LEAST_CONTRAST = 0.008  # two gray levels
# Where nearly all are equal, what is common is no yardstick: 640 x 478 among 640 x 480 is not wide.
# So much, or so many times as much by its logarithm, a number must differ from the median as well.
LEAST = MappingProxyType(
    {"brightness": 0.1, "colorfulness": 0.05, "pixels": math.log(1.5), "aspect": math.log(1.5)}
)
WHITE = 255


def measure(x_NHWC: NDArray[np.uint8], shapes_N2: NDArray[np.int64]) -> Mapping[str, Floats]:
    """Describe each image by the numbers that `UNLIKE` names, ``[N]`` each.

    Brightness is the mean and contrast the deviation of gray, white being 1. Sharpness is the mean
    size of the Laplacian over the contrast. Colorfulness is the mean distance between a pixel's
    largest and smallest channel; alpha has no part in any.

    Args:
        x_NHWC: Images at one size.
        shapes_N2: Height and width that they have in their files.
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
    light_BHWC = x_BHWC.astype(np.float32) / np.float32(WHITE)
    gray_BHW = light_BHWC.mean(axis=3)
    contrast_B = gray_BHW.std(axis=(1, 2))
    inner_BHW = gray_BHW[:, 1:-1, 1:-1]
    around_BHW = gray_BHW[:, :-2, 1:-1] + gray_BHW[:, 2:, 1:-1]
    around_BHW += gray_BHW[:, 1:-1, :-2] + gray_BHW[:, 1:-1, 2:]
    edges_BHW = np.abs(4 * inner_BHW - around_BHW)
    # One or two pixels have nothing between them.
    edges_B = edges_BHW.mean(axis=(1, 2)) if edges_BHW[:1].size else np.zeros_like(contrast_B)
    return {
        "brightness": gray_BHW.mean(axis=(1, 2)),
        "contrast": contrast_B,
        "sharpness": edges_B / contrast_B.clip(1 / WHITE),
        "colorfulness": np.ptp(light_BHWC, axis=3).mean(axis=(1, 2)),
    }


def unlike(looks: Mapping[str, Floats]) -> tuple[NDArray[np.int64], Floats]:
    """Find in which respect each image is most unlike the others.

    Returns:
        Number of that respect in `UNLIKE`, and how far out the image lies in it, ``[N]`` each: see
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
    """How far out each value lies; those within ``least`` of the median are not."""
    is_far_N = np.abs(values_N - np.median(values_N)) >= least
    return np.where(is_far_N, far_out(values_N), 0).astype(np.float32)


def far_out(values_N: Floats) -> Floats:
    """How far out each value lies: beyond 1 or -1 it is unlike the others, ``[N]``.

    The yardstick is how far common values get, on either side of the median its own, so that
    skewed numbers have no outliers merely because they are skewed.

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
