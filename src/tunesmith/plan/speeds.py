"""What a budget can afford: resolution, width, copies of images, judged by measured speeds."""

import itertools
import math
from collections.abc import Sequence
from typing import final

from pydantic import BaseModel, ConfigDict

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.augmentation import brief_seconds

SIDES = (32, 48, 64, 96, 128, 192, 256)  # resolutions tried for images larger than the first
NATIVE = 64  # images up to this side are taken as they are
SMALLEST, LARGEST = 8, 256  # sides in pixels that networks take
WIDTHS = (8, 16, 32, 64, 128)  # widths that are measured; those between are interpolated
FEWEST_EPOCHS = 6.0  # a network that sees less is too wide for the time
ENOUGH_EPOCHS = 3.0  # a network as narrow as can be that sees less has too little time
COARSE_FROM = 32  # pixels of the shorter side: what smaller images show is lost at three quarters
RESOLUTIONS = (64, 96, 128, 160, 224)  # that pretrained networks are tried at
LARGEST_ZOOM = 4  # times an image's own side; larger copies show nothing more
FEWEST_TUNED = 4.0  # epochs of fine-tuning that a higher resolution must leave time for
FEWEST_TUNED_SMALL = 1.0  # the same for few images, where the head on frozen features does most
READ_SHARE, LEAST_READ = 0.4, 200  # of the time for decoding; images that are read in any case
ANSWERING_SHARE = 0.5  # of the time, at most, may go into images that are not trained on
# Of the budget that answers to so many copies of each image, mirrored or moved, may take.
PASSES = {6: 0.06, 3: 0.06, 2: 0.2}
# Export, verification and report; and what a pretrained network adds, whose graph is deep.
FIXED_S, FIXED_PRETRAINED_S = 5.0, 4.0


@final
class Speed(BaseModel):
    """What one network was measured to cost.

    Attributes:
        width: The family's width; 0 where a network has none.
        resolution: Pixels of the longer side inside the network; 0 where it has no say in that.
        size: Height and width of its input.
        channels_last: Memory layout.
        mixed: Matrix products were computed in the shorter type that the device is faster in.
        threads: That computed.
        share: Of their time that these had on the cores: other work may have had the rest.
        images_per_s: Training throughput; 0 if memory ran out.
        answers_per_s: Images answered, which needs no gradient.
        parameters: Trainable numbers.
        activation_bytes: Held by one image in training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    resolution: int = 0
    size: tuple[int, int]
    channels_last: bool
    mixed: bool = False
    threads: int = 1
    share: float = 1.0
    images_per_s: float
    answers_per_s: float
    parameters: int
    activation_bytes: int


def readable_images(decode_per_s: float, left_s: float) -> int:
    """Images that may be read in the time that is left, so that some is left to learn from them.

    Example:
        >>> readable_images(20.0, 600.0)
        4800

    """
    return max(LEAST_READ, int(READ_SHARE * left_s * decode_per_s))


def passes_in(budget: float, once_s: float) -> int:
    """Copies of an image that there is time to answer, where one of each takes ``once_s`` in all.

    Example:
        >>> passes_in(600, 1.0), passes_in(60, 3.0), passes_in(10, 3.0)
        (6, 2, 1)

    """
    return next((n for n, share in PASSES.items() if n * once_s <= share * budget), 1)


def fixed_seconds(*, pretrained: bool) -> float:
    """Seconds that export, verification and report take, however little is trained and asked."""
    return FIXED_S + (FIXED_PRETRAINED_S if pretrained else 0.0)


def enough_seconds(budget: float, needed_s: float, once_s: float) -> float | None:
    """A budget that has time for everything, in whole seconds; None if this one has.

    The larger it is, the more is done beside the training, so that it is found step by step.

    Args:
        budget: Seconds that there are.
        needed_s: In it, for everything but the answers at the end.
        once_s: For one answer to each image that is asked then.

    Example:
        >>> enough_seconds(5, 15.5, 0.1), enough_seconds(60, 15.5, 0.1)
        (17.0, None)

    """
    needed_s -= brief_seconds(budget)  # it takes the longer, the more time there is
    enough = budget
    while (all_s := needed_s + brief_seconds(enough) + passes_in(enough, once_s) * once_s) > enough:
        enough = float(math.ceil(all_s))
    return enough if enough > budget else None


def probe_seconds(budget: float) -> float:
    """Seconds for measuring one candidate."""
    return min(1.0, max(0.1, 0.006 * budget))


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
    return tuple(dict.fromkeys(size_for(data, side) for side in sides))


def batch_of(images: int, *, pretrained: bool = False) -> int:
    """Batch for a number of training images: about 50 steps an epoch, from 16 to 512.

    Pretrained networks are large and need few steps of a small rate: about 16, from 16 to 64.

    Example:
        >>> batch_of(45_000), batch_of(1_400), batch_of(50)
        (512, 32, 16)
        >>> batch_of(45_000, pretrained=True), batch_of(500, pretrained=True)
        (64, 32)

    """
    steps, most = (16, 6) if pretrained else (50, 9)
    return int(2 ** max(4, min(most, round(math.log2(max(1, images) / steps)))))


def sees_enough(speed: Speed, *, images: int, seconds: float) -> bool:
    """Whether a network as measured sees every image often enough in the time."""
    return speed.images_per_s * seconds >= ENOUGH_EPOCHS * images


def choose_size(speeds: Sequence[Speed], *, images: int, seconds: float) -> tuple[int, int]:
    """The largest size at which the measured network sees every image often enough in time."""
    enough = [s for s in speeds if sees_enough(s, images=images, seconds=seconds)]
    return max(enough or speeds[:1], key=lambda s: s.size).size


def resolutions_of(data: Fingerprint) -> tuple[int, ...]:
    """Resolutions worth thinking of for a pretrained network, smallest first."""
    most = LARGEST_ZOOM * max(data.heights[1], data.widths[1])
    return tuple(side for side in RESOLUTIONS if side <= most) or RESOLUTIONS[:1]


def size_for(data: Fingerprint, resolution: int) -> tuple[int, int]:
    """Size to decode to for a network that resizes by itself: no larger than it will look at."""
    height, width = data.heights[1], data.widths[1]
    longest = max(height, width)
    if longest <= NATIVE:
        return sizes_of(data)[0]
    side = min(resolution, longest)
    return (
        max(SMALLEST, round(height * side / longest)),
        max(SMALLEST, round(width * side / longest)),
    )


def choose_resolution(
    data: Fingerprint, lowest: Speed, *, examples: float, asked: int, seconds: float
) -> Speed:
    """The highest resolution that leaves time for fine-tuning and for testing.

    Args:
        data: What the images look like.
        lowest: The speed at the lowest resolution; cost grows with the number of pixels.
        examples: That fine-tuning should see at least.
        asked: Images held out, which are answered without being trained on.
        seconds: For both.
    """

    def at(side: int) -> Speed:
        factor = (side / lowest.resolution) ** 2
        return lowest.model_copy(
            update={
                "resolution": side,
                "size": size_for(data, side),
                "images_per_s": lowest.images_per_s / factor,
                "answers_per_s": lowest.answers_per_s / factor,
                "activation_bytes": round(lowest.activation_bytes * factor),
            }
        )

    def fits(speed: Speed) -> bool:
        answering = asked / max(1e-9, speed.answers_per_s)
        learning = speed.images_per_s * (seconds - answering)
        return answering <= ANSWERING_SHARE * seconds and learning >= examples

    speeds = [at(side) for side in resolutions_of(data) if side > lowest.resolution]
    return max(filter(fits, speeds), key=lambda s: s.resolution, default=lowest)


def interpolate(speeds: Sequence[Speed]) -> list[Speed]:
    """Add the widths halfway between measured ones; cost is a power law between neighbors.

    Speeds of one width in several layouts and precisions count with the fastest.
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
                "channels_last": high.channels_last,
                "mixed": high.mixed,
            }
        )
        for low, high in itertools.pairwise(ordered)
        if low.images_per_s and high.images_per_s
    ]
    return sorted([*ordered, *between], key=lambda s: s.width)


def pace_of(scale: float) -> float:
    """Examples that a training sees over those that it would see at full size all the time.

    Half of the time goes into images of ``scale`` times their side; see `TrainConfig.early_scale`.

    Example:
        >>> pace_of(1.0), pace_of(0.5)
        (1.0, 2.5)

    """
    return (1 + 1 / scale**2) / 2


def epochs_wanted(images: int) -> float:
    """How often every image should be seen before a wider network pays."""
    return max(FEWEST_EPOCHS, ENOUGH_EPOCHS * float((60_000 / max(1, images)) ** 0.8))


def choose_width(speeds: Sequence[Speed], *, images: int, seconds: float) -> Speed:
    """The widest network that sees every image often enough; else the fastest."""
    wanted = epochs_wanted(images) * images
    enough = [s for s in speeds if s.images_per_s * seconds >= wanted]
    fastest = max(speeds, key=lambda s: s.images_per_s)
    return max(enough, key=lambda s: (s.width, s.images_per_s)) if enough else fastest
