"""What a budget can afford: resolution, width, augmentation passes, by measured speeds."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import final

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.augmentation import brief_seconds
from tunesmith.plan.throughput import Throughput

SIDES = (32, 48, 64, 96, 128, 192, 256)  # resolutions to try for images larger than the first
NATIVE = 64  # images up to this side keep their size
SMALLEST, LARGEST = 8, 256  # sides of a network's input, in pixels
WIDTHS = (8, 16, 32, 64, 128)  # widths to measure; those between are interpolated
FEWEST_EPOCHS = 6.0  # a network that gets fewer is too wide for the time
ENOUGH_EPOCHS = 3.0  # if even the narrowest network gets fewer, there is too little time
COARSE_FROM = 32  # pixels of the shorter side: smaller images lose their content at three quarters
RESOLUTIONS = (64, 96, 128, 160, 224)  # resolutions to try for pretrained networks
LARGEST_ZOOM = 4  # times an image's own side; larger copies show nothing more
# Examples for fine-tuning that larger images must leave time for. Of few images, where the
# head on frozen features does most, it is a number of epochs.
FEWEST_TUNED, FEWEST_EPOCHS_SMALL = 12_000, 1.0
FEWEST_STEPS = 120  # of a training; fewer, of larger batches, learn less (`benchmarks/short.py`)
ANSWERING_SHARE = 0.5  # share of the time for predicting images that are not trained on, at most
# Test-time augmentation passes per image -> share of the budget that they may take.
PASSES = {6: 0.06, 3: 0.06, 2: 0.2}
# Export, report and the end of the process; and what the deep graph of a pretrained network adds.
FIXED_S, FIXED_PRETRAINED_S = 6.0, 4.0
# Largest share of the budget that is kept for the former: no training is worse than a late end.
KEPT_SHARE = 0.2
LEAST_SHARE = 0.1  # of the budget for training, at least


@final
class Speed(Throughput):
    """Measured cost of one network, beside its throughput.

    Attributes:
        width: Width of the network; 0 if it has no such parameter.
        resolution: Pixels of the longer side inside the network; 0 if it has no such parameter.
        size: Height and width of its input.
        channels_last: Whether the memory layout is channels last.
        precision: Type of the matrix products, as torch calls it.
        threads: Number of threads.
        share: Share of their time that these ran on the cores; other processes may have had the
            rest.
        parameters: Number of trainable parameters.
        activation_bytes: Activation memory of one image in training.
        largest_batch: Batch that memory had room for, after it had run out with larger ones; None
            if it never did.
    """

    width: int
    resolution: int = 0
    size: tuple[int, int]
    channels_last: bool
    precision: str = "float32"
    threads: int = 1
    share: float = 1.0
    parameters: int
    activation_bytes: int
    largest_batch: int | None = None

    @property
    def mixed(self) -> bool:
        """Whether matrix products were in a lower precision than the rest."""
        return self.precision != "float32"

    @property
    def params(self) -> dict[str, int]:
        """Parameters of the network that were measured, by name."""
        found = {"width": self.width, "resolution": self.resolution}
        return {name: value for name, value in found.items() if value}


def passes_in(budget: float, once_s: float) -> int:
    """Number of affordable test-time augmentation passes, if one of all images takes ``once_s``.

    Example:
        >>> passes_in(600, 1.0), passes_in(60, 3.0), passes_in(10, 3.0)
        (6, 2, 1)

    """
    return next((n for n, share in PASSES.items() if n * once_s <= share * budget), 1)


def fixed_seconds(*, pretrained: bool) -> float:
    """Fixed seconds for export, report and the end of the process."""
    return FIXED_S + (FIXED_PRETRAINED_S if pretrained else 0.0)


def kept_seconds(budget: float, *, pretrained: bool) -> float:
    """Seconds that are kept for these.

    Example:
        >>> kept_seconds(600, pretrained=False), kept_seconds(20, pretrained=False)
        (6.0, 4.0)

    """
    return fixed_seconds(pretrained=pretrained) - max(0.0, FIXED_S - KEPT_SHARE * budget)


def least_seconds(budget: float) -> float:
    """Seconds of training even if the run will end late for it: without any, it is for nothing.

    Example:
        >>> least_seconds(5), least_seconds(15)
        (1.0, 1.5)

    """
    return max(1.0, LEAST_SHARE * budget)


def enough_seconds(budget: float, needed_s: float, once_s: float) -> float | None:
    """A budget that is enough for everything, in whole seconds; None if this one is.

    A larger budget also spends more on other steps than training, so it is found by iteration.

    Args:
        budget: Given budget, in seconds.
        needed_s: Seconds that it needs for everything but the predictions at the end.
        once_s: Seconds for one pass over all images to be predicted then.

    Example:
        >>> enough_seconds(5, 15.5, 0.1), enough_seconds(60, 15.5, 0.1)
        (17.0, None)

    """
    needed_s -= brief_seconds(budget)  # the probe takes longer with a larger budget
    enough = budget
    while (all_s := needed_s + brief_seconds(enough) + passes_in(enough, once_s) * once_s) > enough:
        enough = float(math.ceil(all_s))
    return enough if enough > budget else None


def probe_seconds(budget: float) -> float:
    """Seconds to measure one candidate."""
    return min(1.0, max(0.1, 0.006 * budget))


def sizes_of(data: Fingerprint) -> tuple[tuple[int, int], ...]:
    """Input sizes worth measuring, smallest first.

    Images up to 64 pixels keep their size (but at least 8 pixels a side). Larger ones are tried at
    several resolutions up to their own, at most 256 pixels for the longer side; the aspect ratio is
    that of a typical image.
    """
    height, width = data.typical
    longest = max(height, width)
    if longest <= NATIVE:
        return ((max(SMALLEST, height), max(SMALLEST, width)),)
    sides = [side for side in SIDES if side < longest] + [min(LARGEST, longest)]
    return tuple(dict.fromkeys(size_for(data, side) for side in sides))


def batch_of(images: int, *, examples: float = math.inf, pretrained: bool = False) -> int:
    """Batch size for a number of training images: about 50 steps per epoch, from 16 to 512.

    Pretrained networks are large, and need few steps at a small learning rate: about 16 steps per
    epoch, from 16 to 64. From scratch, a batch is also so small that there are `FEWEST_STEPS` of
    them, or 32 images.

    Example:
        >>> batch_of(45_000), batch_of(1_400), batch_of(50), batch_of(45_000, examples=10_000)
        (512, 32, 16, 64)
        >>> batch_of(45_000, pretrained=True), batch_of(500, pretrained=True)
        (64, 32)

    """
    steps, most = (16, 6.0) if pretrained else (50, 9.0)
    if not pretrained:
        most = max(5.0, min(most, math.log2(max(1.0, examples) / FEWEST_STEPS)))
    return int(2 ** max(4, min(math.floor(most), round(math.log2(max(1, images) / steps)))))


def sees_enough(speed: Speed, *, images: int, seconds: float) -> bool:
    """Whether a network sees every image often enough in the time, by its measured speed."""
    return speed.images_per_s * seconds >= ENOUGH_EPOCHS * images


def choose_size(speeds: Sequence[Speed], fits: Callable[[Speed], bool]) -> tuple[int, int]:
    """Choose the largest size at which the network fits into the time, else the first one."""
    enough = [*filter(fits, speeds)]
    return max(enough or speeds[:1], key=lambda s: s.size).size


def resolutions_of(data: Fingerprint) -> tuple[int, ...]:
    """Resolutions to consider for a pretrained network, smallest first."""
    most = LARGEST_ZOOM * max(data.typical)
    return tuple(side for side in RESOLUTIONS if side <= most) or RESOLUTIONS[:1]


def size_for(data: Fingerprint, resolution: int) -> tuple[int, int]:
    """Decoding size for a network that resizes internally: no larger than its resolution."""
    height, width = data.typical
    longest = max(height, width)
    if longest <= NATIVE:
        return sizes_of(data)[0]
    side = min(resolution, longest)
    return (
        max(SMALLEST, round(height * side / longest)),
        max(SMALLEST, round(width * side / longest)),
    )


def leaves_time(speed: Speed, *, examples: float, asked: int, seconds: float) -> bool:
    """Whether a pretrained network leaves time for fine-tuning and for testing.

    Args:
        speed: Its speed at some resolution.
        examples: Minimum number of examples for fine-tuning.
        asked: Number of images to predict that are not trained on.
        seconds: Seconds for both.
    """
    answering = asked / max(1e-9, speed.answers_per_s)
    learning = speed.images_per_s * (seconds - answering)
    return answering <= ANSWERING_SHARE * seconds and learning >= examples


def at_most(speed: Speed, resolution: int) -> Speed:
    """The speed that a network may have at a higher resolution, at most.

    The cost grows with the number of pixels, but small images are computed less efficiently.
    """
    slower = resolution / speed.resolution
    return speed.model_copy(
        update={
            "resolution": resolution,
            "images_per_s": speed.images_per_s / slower,
            "answers_per_s": speed.answers_per_s / slower,
        }
    )


def interpolate(speeds: Sequence[Speed]) -> list[Speed]:
    """Add the widths halfway between measured ones; cost is a power law between neighbors.

    Of one width measured in several layouts and precisions, the fastest counts.
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
                "answers_per_s": math.sqrt(low.answers_per_s * high.answers_per_s) * 0.95,
                "parameters": round(math.sqrt(low.parameters * high.parameters)),
                "activation_bytes": (low.activation_bytes + high.activation_bytes) // 2,
                "largest_batch": high.largest_batch or low.largest_batch,
                "channels_last": high.channels_last,
                "precision": high.precision,
            }
        )
        for low, high in itertools.pairwise(ordered)
    ]
    return sorted([*ordered, *between], key=lambda s: s.width)


def pace_of(scale: float) -> float:
    """Examples that a training sees, relative to one at full size all the time.

    Half of the time goes into images of ``scale`` times their side; see `TrainConfig.early_scale`.

    Example:
        >>> pace_of(1.0), pace_of(0.5)
        (1.0, 2.5)

    """
    return (1 + 1 / scale**2) / 2


def epochs_wanted(images: int) -> float:
    """Number of epochs that is wanted before a wider network is worthwhile."""
    return max(FEWEST_EPOCHS, ENOUGH_EPOCHS * float((60_000 / max(1, images)) ** 0.8))


def choose_width(speeds: Sequence[Speed], *, images: int, seconds: float) -> Speed:
    """Choose the widest network that sees every image often enough; else the fastest."""
    wanted = epochs_wanted(images) * images
    enough = [s for s in speeds if s.images_per_s * seconds >= wanted]
    fastest = max(speeds, key=lambda s: s.images_per_s)
    return max(enough, key=lambda s: (s.width, s.images_per_s)) if enough else fastest
