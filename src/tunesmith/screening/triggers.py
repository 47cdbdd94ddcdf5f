"""Reconstruct a backdoor trigger from the images that have it, and apply it to others.

Shape letters: N images of H x W pixels with C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.overlays import blurred, traces

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
STILL = 8.0  # standard deviation in gray levels up to which a pixel is the same in all images
SURE = 4.0  # standard errors by which a mean must differ
ROUNDS = 8  # of adding back what subtracting the local mean removed from a pattern


@final
@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Pixels that are set to a value, and gray levels that are added to all others.

    Attributes:
        is_set_HWC: Whether each pixel is set.
        value_HWC: Value of each set pixel.
        shift_HWC: Gray levels added to each other pixel.
    """

    is_set_HWC: NDArray[np.bool_]
    value_HWC: Floats
    shift_HWC: Floats

    def put_on(self, x_NHWC: Images) -> Images:
        """Return images with the trigger applied."""
        moved_NHWC = np.where(self.is_set_HWC, self.value_HWC, x_NHWC + self.shift_HWC)
        return np.rint(moved_NHWC).clip(0, 255).astype(np.uint8)


def read_trigger(bearing_NHWC: Images, others: Sequence[Images]) -> Trigger:
    """Reconstruct a trigger from the images that have it.

    The trigger is what distinguishes them from each of several reference sets. Compared only with
    images of the same label, they would also differ by the true content of poisoned images;
    compared only with images of all labels, by the content of the label's class.

    Args:
        bearing_NHWC: Images with the trigger.
        others: Reference sets of images without the trigger.

    Example:
        >>> x_NHWC = np.random.default_rng(0).integers(0, 256, (500, 6, 6, 1)).astype(np.uint8)
        >>> stamped_NHWC = x_NHWC[:100].copy()
        >>> stamped_NHWC[:, 4:, 4:] = 255
        >>> trigger = read_trigger(stamped_NHWC, [x_NHWC[100:]])
        >>> bool((trigger.put_on(x_NHWC[:100]) == stamped_NHWC).all())
        True

    """
    mean_HWC, std_HWC = bearing_NHWC.mean(axis=0), bearing_NHWC.std(axis=0)
    away_HWC = _least([mean_HWC - each.mean(axis=0) for each in others])
    vary_HWC = np.min([each.std(axis=0) for each in others], axis=0)
    is_set_HWC = (std_HWC <= STILL) & ((np.abs(away_HWC) > STILL) | (vary_HWC > 2 * STILL))
    stamp = Trigger(
        is_set_HWC=is_set_HWC,
        value_HWC=mean_HWC.astype(np.float32),
        shift_HWC=np.zeros(mean_HWC.shape, np.float32),
    )
    # With the same stamp on all images, its effect on the traces of pixels around it cancels.
    traces_NHWC = traces(bearing_NHWC)
    trace_HWC = traces_NHWC.mean(axis=0)
    found_HWC = _least([trace_HWC - traces(stamp.put_on(each)).mean(axis=0) for each in others])
    error_HWC = traces_NHWC.std(axis=0) / np.sqrt(len(bearing_NHWC))
    found_HWC = np.where(np.abs(found_HWC) > SURE * error_HWC, found_HWC, 0).astype(np.float32)
    shift_HWC = found_HWC
    for _ in range(ROUNDS):
        shift_HWC = found_HWC + blurred(shift_HWC)
    return replace(stamp, shift_HWC=shift_HWC)


def _least(differences: Sequence[NDArray[np.floating]]) -> Floats:
    """Smallest of the differences by magnitude; 0 where their signs are not all equal."""
    stacked = np.stack(differences).astype(np.float32)
    is_agreed = np.abs(np.sign(stacked).sum(axis=0)) == len(stacked)
    least: Floats = np.where(is_agreed, np.abs(stacked).min(axis=0), 0) * np.sign(stacked[0])
    return least
