"""Which resolution and width a budget can afford, judged by measured speeds."""

import itertools
import math
from collections.abc import Sequence
from typing import final

from pydantic import BaseModel, ConfigDict

from tunesmith.data.fingerprint import Fingerprint

SIDES = (32, 48, 64, 96, 128, 192, 256)  # resolutions tried for images larger than the first
NATIVE = 64  # images up to this side are taken as they are
SMALLEST, LARGEST = 8, 256  # sides in pixels that networks take
WIDTHS = (8, 16, 32, 64)  # widths that are measured; those between are interpolated
FEWEST_EPOCHS = 3.0  # a network that sees less is too wide for the time


@final
class Speed(BaseModel):
    """What one network was measured to cost.

    Attributes:
        width: The family's width; 0 where a network has none.
        size: Height and width of its input.
        channels_last: Memory layout.
        images_per_s: Training throughput; 0 if memory ran out.
        parameters: Trainable numbers.
        activation_bytes: Held by one image in training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    size: tuple[int, int]
    channels_last: bool
    images_per_s: float
    parameters: int
    activation_bytes: int


def probe_seconds(budget: float) -> float:
    """Seconds for measuring one candidate."""
    return min(2.0, max(0.1, 0.006 * budget))


def sizes_of(data: Fingerprint) -> tuple[tuple[int, int], ...]:
    """Input sizes worth measuring, smallest first.

    Images up to 64 pixels are taken as they are (stretched to at least 8 pixels a side). Larger
    ones are tried at several resolutions up to their own, at most 256 pixels for the longer side;
    the aspect is that of the median image.
    """
    height, width = data.heights[1], data.widths[1]
    longest = max(height, width)
    if longest <= NATIVE:
        return ((max(SMALLEST, height), max(SMALLEST, width)),)
    sides = [side for side in SIDES if side < longest] + [min(LARGEST, longest)]
    return tuple(
        dict.fromkeys(
            (
                max(SMALLEST, round(height * side / longest)),
                max(SMALLEST, round(width * side / longest)),
            )
            for side in sides
        )
    )


def batch_of(images: int) -> int:
    """Batch for a number of training images: about 50 steps an epoch, from 16 to 256.

    Example:
        >>> batch_of(45_000), batch_of(1_400), batch_of(50)
        (256, 32, 16)

    """
    return int(2 ** max(4, min(8, round(math.log2(max(1, images) / 50)))))


def choose_size(speeds: Sequence[Speed], *, images: int, seconds: float) -> tuple[int, int]:
    """The largest size at which the measured network sees every image often enough in time."""
    enough = [s for s in speeds if s.images_per_s * seconds >= FEWEST_EPOCHS * images]
    return max(enough or speeds[:1], key=lambda s: s.size).size


def interpolate(speeds: Sequence[Speed]) -> list[Speed]:
    """Add the widths halfway between measured ones; cost is a power law between neighbors.

    Speeds of one width and several memory layouts count with the fastest.
    """
    best: dict[int, Speed] = {}
    for speed in speeds:
        known = best.setdefault(speed.width, speed)
        if speed.images_per_s > known.images_per_s:
            best[speed.width] = speed
    ordered = [best[width] for width in sorted(best)]
    between = [
        low.model_copy(
            update={
                "width": (low.width + high.width) // 2,
                "images_per_s": math.sqrt(low.images_per_s * high.images_per_s) * 0.95,
                "parameters": round(math.sqrt(low.parameters * high.parameters)),
                "activation_bytes": (low.activation_bytes + high.activation_bytes) // 2,
                "channels_last": high.channels_last,
            }
        )
        for low, high in itertools.pairwise(ordered)
        if low.images_per_s and high.images_per_s
    ]
    return sorted([*ordered, *between], key=lambda s: s.width)


def epochs_wanted(images: int) -> float:
    """How often every image should be seen before a wider network pays."""
    return FEWEST_EPOCHS * float(max(1.0, (60_000 / max(1, images)) ** 0.8))


def choose_width(speeds: Sequence[Speed], *, images: int, seconds: float) -> Speed:
    """The widest network that sees every image often enough; else the fastest."""
    wanted = epochs_wanted(images) * images
    enough = [s for s in speeds if s.images_per_s * seconds >= wanted]
    fastest = max(speeds, key=lambda s: s.images_per_s)
    return max(enough, key=lambda s: (s.width, s.images_per_s)) if enough else fastest
