"""What a group of images bears, read from them, and put on others.

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
STILL = 8.0  # gray levels of deviation up to which a pixel is the same in all images
SURE = 4.0  # standard errors that a mean must differ by
ROUNDS = 8  # of adding back what taking away the surroundings took from a pattern


@final
@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Pixels that are set to a value, and gray levels that are added to all others.

    Attributes:
        is_set_HWC: Which pixels are set.
        value_HWC: To what.
        shift_HWC: What is added to the others.
    """

    is_set_HWC: NDArray[np.bool_]
    value_HWC: Floats
    shift_HWC: Floats

    def put_on(self, x_NHWC: Images) -> Images:
        """The same images with the trigger on them."""
        moved_NHWC = np.where(self.is_set_HWC, self.value_HWC, x_NHWC + self.shift_HWC)
        return np.rint(moved_NHWC).clip(0, 255).astype(np.uint8)


def read_trigger(bearing_NHWC: Images, others: Sequence[Images]) -> Trigger:
    """Read from the images that bear a trigger what it is.

    It is what they differ by from each of several kinds of other images. From those of the same
    label alone they would also differ by what a poisoned image shows, and from those of all labels
    by what the label stands for.

    Args:
        bearing_NHWC: Images with the trigger.
        others: Images without, of one kind each.

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
    # With the same stamp on all, what is left is not its trace in the pixels around it.
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
    """The smallest of differences that have the same sign; 0 where the signs are not all equal."""
    stacked = np.stack(differences).astype(np.float32)
    is_agreed = np.abs(np.sign(stacked).sum(axis=0)) == len(stacked)
    least: Floats = np.where(is_agreed, np.abs(stacked).min(axis=0), 0) * np.sign(stacked[0])
    return least
