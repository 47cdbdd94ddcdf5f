"""Summary of a data set, on which the plan is based: numbers, not pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.decode import Sample
from tunesmith.data.source import Given, Source

OPAQUE = 255  # alpha of an opaque pixel


@final
@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Summary of a data set. Sizes and channels are those of a sample.

    Attributes:
        images: Number of images, including those that may turn out to be undecodable.
        classes: Number of classes.
        class_counts: Number of images of each class.
        channels: 1 if all images are gray, 4 if any is not opaque, else 3.
        heights: Smallest, median and largest height in pixels.
        widths: Smallest, median and largest width in pixels.
        test_images: Number of images in a predefined test set.
        validation_images: Number of images in a predefined validation set.
        decode_per_s: Images decoded per second on all threads.
        aspect: Geometric mean of height over width; None for that of the medians.
        again_per_s: Images read per second for the test, at their own size; None if that was not
            measured.
    """

    images: int
    classes: int
    class_counts: tuple[int, ...]
    channels: int
    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    test_images: int
    validation_images: int
    decode_per_s: float
    aspect: float | None = None
    again_per_s: float | None = None

    @property
    def typical(self) -> tuple[int, int]:
        """Height and width of a typical image.

        Its aspect ratio is the mean one: if a third of all photographs are upright, the medians are
        those of the others, and upright ones would be squeezed to half of their width.
        """
        height, width = self.heights[1], self.widths[1]
        if self.aspect is None:
            return height, width
        longest = max(height, width)
        if self.aspect >= 1:
            return longest, max(1, round(longest / self.aspect))
        return max(1, round(longest * self.aspect)), longest


def fingerprint(source: Source, sample: Sample) -> Fingerprint:
    """Summarize a source from its listing and a decoded sample.

    Raises:
        SourceError: No image of the sample could be decoded.
    """
    if not sample.images:
        first = sample.rejected[0] if sample.rejected else None
        example = f" First: {first.name}: {first.reason}." if first else ""
        raise SourceError(
            f"At least some images must be readable, but none of {len(sample.rejected)} images "
            f"looked at in {source.name} can be decoded.{example} Are they PNG, JPEG, BMP, WebP or "
            "TIFF files, and whole?"
        )
    channels = _channels(sample.images)
    heights, widths = (_spread(sample.shapes[:, axis]) for axis in (0, 1))
    counts_K = np.bincount(source.labels, minlength=len(source.classes))
    return Fingerprint(
        images=len(source.labels),
        classes=len(source.classes),
        class_counts=tuple(counts_K.tolist()),
        channels=channels,
        heights=heights,
        widths=widths,
        test_images=int((source.given == Given.TEST).sum()),
        validation_images=int((source.given == Given.VALIDATION).sum()),
        decode_per_s=sample.per_s,
        aspect=float(np.exp(np.log(sample.shapes[:, 0] / sample.shapes[:, 1]).mean())),
        again_per_s=sample.again_per_s,
    )


def _spread(sizes_S: NDArray[np.int64]) -> tuple[int, int, int]:
    return int(sizes_S.min()), round(float(np.median(sizes_S))), int(sizes_S.max())


def _channels(images: Sequence[NDArray[np.uint8]]) -> int:
    """Smallest number of channels that represents the images ``[H, W, C]`` without loss."""
    if any(x.shape[2] in {2, 4} and bool((x[..., -1] != OPAQUE).any()) for x in images):
        return 4
    return 1 if all(map(_is_gray, images)) else 3


def _is_gray(x_HWC: NDArray[np.uint8]) -> bool:
    """Whether the color channels, if there are any, are equal at each pixel."""
    red = x_HWC[..., 0]
    return x_HWC.shape[2] < 3 or all(  # noqa: PLR2004 (gray, or gray with alpha)
        np.array_equal(red, x_HWC[..., channel]) for channel in (1, 2)
    )
