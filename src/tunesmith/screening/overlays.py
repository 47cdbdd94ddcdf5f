"""Find one faint pattern that covers many images: noise, waves or another image blended in.

A backdoor attack need not stamp a corner: an image may be blended in (Chen, Liu, Li, Lu and Song
2017, arXiv:1712.05526), or waves be laid over images whose label stays right (Barni, Kallas and
Tondi 2019, arXiv:1902.11237). Each poisoned image is shifted by the same vector. Tran, Li and Madry
2018, "Spectral signatures in backdoor attacks" (arXiv:1811.00636), find its trace in the features
of a trained network; here it is searched for in the pixels, where neither training nor labels can
hide it. The local mean is subtracted from each pixel, and whitening removes natural variation
(Hayase, Kong, Somani and Oh 2021, "SPECTRE", arXiv:2104.11315). The pattern is then a direction
along which images are skewed: a few are far off, and all others near the middle.

Shape letters: N images of H x W pixels, D pixels per image, A axes, S directions.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.parting import LEAST, Parted, farthest_apart

Floats = NDArray[np.float32]

AROUND = 3  # side of the square whose mean is subtracted from its center pixel
MOST = 16  # gray levels at which differences are clipped, so that edges do not outweigh patterns
AXES = 200  # principal axes of natural variation
PER_AXIS = 10  # images per axis; with fewer, some direction separates any few of them
FEWEST = 2 * max(LEAST, PER_AXIS)  # images
PIXELS = 4  # pixels per axis; the last axes are of pixels that hardly vary
FLAT = 1e-3  # share of the largest variance; an axis with less holds only rounding errors
DIRECTIONS = 24  # from which the search starts
STEPS = 20  # of the search for skewness
APART = 3.5  # see `Parted`; clean data reached up to 3.2, patterns 4.3 and more
BATCH = 1024


def find_overlay(gray_NHW: NDArray[np.uint8]) -> Parted | None:
    """Find the group of images whose common pattern stands out most.

    Time grows with N times the square of the number of pixels.

    Args:
        gray_NHW: Gray images of equal size.

    Returns:
        The images with the pattern, most certain first; None if there is none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_NHW = rng.integers(100, 120, (600, 10, 10)).astype(np.uint8)
        >>> x_NHW[:20] += 40 * rng.integers(0, 2, (10, 10)).astype(np.uint8)
        >>> found = find_overlay(x_NHW)
        >>> sorted(found.places) == list(range(20))
        True

    """
    n = len(gray_NHW)
    if n < FEWEST:
        return None
    z_NA = _whitened(gray_NHW, min(AXES, n // PER_AXIS, gray_NHW[0].size // PIXELS))
    if not z_NA.size:
        return None
    found = farthest_apart(z_NA, _most_skewed(z_NA))
    return found if found.apart >= APART else None


def traces(x_NHWC: NDArray[np.uint8]) -> Floats:
    """Difference of each pixel from its local mean, in gray levels; channels are optional.

    Example:
        >>> traces(np.full((1, 4, 4), 200, np.uint8)).any()
        np.False_

    """
    found = np.empty(x_NHWC.shape, np.float32)
    for x_HWC, out_HWC in zip(x_NHWC, found, strict=True):
        light_HWC = x_HWC.astype(np.float32)
        out_HWC[:] = light_HWC - blurred(light_HWC)
    return found.clip(-MOST, MOST)


def blurred(x_HWC: Floats) -> Floats:
    """Local mean around each pixel of one image."""
    return np.asarray(cv2.blur(x_HWC, (AROUND, AROUND)), np.float32).reshape(x_HWC.shape)


def _whitened(gray_NHW: NDArray[np.uint8], axes: int) -> Floats:
    """Traces whitened along the axes of largest variance, ``[N, A]``."""
    n, pixels = len(gray_NHW), gray_NHW[0].size
    sum_D, squares_DD = np.zeros(pixels), np.zeros((pixels, pixels))
    for r_BD in _batches(gray_NHW):
        sum_D += r_BD.sum(axis=0)
        squares_DD += r_BD.T @ r_BD
    mean_D = sum_D / n
    values_D, axes_DD = np.linalg.eigh(squares_DD / n - np.outer(mean_D, mean_D))
    kept_D = values_D > FLAT * values_D[-1]
    to_DA = (axes_DD[:, kept_D] / np.sqrt(values_D[kept_D]))[:, -axes:].astype(np.float32)
    shift_A = mean_D.astype(np.float32) @ to_DA
    return np.concatenate([r_BD @ to_DA - shift_A for r_BD in _batches(gray_NHW)])


def _batches(gray_NHW: NDArray[np.uint8]) -> Iterator[Floats]:
    """Yield the traces of the images in batches, ``[B, D]``."""
    for begin in range(0, len(gray_NHW), BATCH):
        r_BHW = traces(gray_NHW[begin : begin + BATCH])
        yield r_BHW.reshape(len(r_BHW), -1)


def _most_skewed(z_NA: Floats) -> Floats:
    """Directions along which whitened data are most skewed, ``[A, S]``.

    A direction of the largest skewness is a fixed point of "the mean of all images, weighted by
    their squared projections onto it": FastICA (Hyvarinen 1999) with the third moment.
    """
    skew_A = (z_NA**3).mean(axis=0)
    first_S = np.argsort(-np.abs(skew_A), kind="stable")[:DIRECTIONS]
    u_AS = np.zeros((z_NA.shape[1], len(first_S)), np.float32)
    u_AS[first_S, np.arange(len(first_S))] = np.where(skew_A[first_S] < 0, -1, 1)
    for _ in range(STEPS):
        u_AS = z_NA.T @ (z_NA @ u_AS) ** 2
        u_AS /= np.linalg.norm(u_AS, axis=0).clip(1e-6)
    return u_AS
