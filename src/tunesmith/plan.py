"""Decide what to run in this budget: pure functions of what was measured.

Nothing here reads a clock, a file or a device, so a plan can be tested, printed and replayed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from pydantic import BaseModel, ConfigDict

from tunesmith.core.settings import Settings, checked
from tunesmith.core.words import duration, megabytes
from tunesmith.data.strengths import Augmentation
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import FOLDS, SMALL, TEST_MOST, TEST_SHARE
from tunesmith.execution.machine import Machine
from tunesmith.training.config import TrainConfig
from tunesmith.training.findings import Harm

SIDES = (32, 48, 64, 96, 128, 192, 256)  # resolutions tried for images larger than the first
NATIVE = 64  # images up to this side are taken as they are
SMALLEST, LARGEST = 8, 256  # sides in pixels that networks take
WIDTHS = (8, 16, 32, 64)  # widths that are measured; those between are interpolated
FEWEST_EPOCHS = 3.0  # a network that sees less is too wide for the time
MOST_EPOCHS = 80.0  # more than this has not paid on any data set measured
MOST_EPOCHS_SMALL = 240.0  # the same for data under `SMALL` images
FOLD_SHARE = 0.5  # of the training time, for out-of-fold predictions
PROCESS_BYTES = 450_000_000  # the libraries themselves


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


@final
class Plan(BaseModel):
    """What will run.

    Attributes:
        size: Height and width that the network reads.
        params: The network's parameters.
        train: How it is trained, augmentation aside (that is decided on the decoded data).
        threads: Of the machine, all for one training.
        images_per_s: Expected throughput.
        horizon: Examples the training will show, at most.
        folds: Networks trained on parts of the data for out-of-fold predictions; 0 for none.
        train_s: Seconds for training.
        reserve_s: Seconds kept for calibration, test, export and report.
        finish_s: When the run is expected to end, on its own clock.
        memory_bytes: Expected peak.
        disk_bytes: Expected size of the run's folder.
        enough_s: A budget that would be enough, where this one is too small.
        reasons: The decisions, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int]
    params: Mapping[str, Any]
    train: TrainConfig
    threads: int
    images_per_s: float
    horizon: int
    folds: int
    train_s: float
    reserve_s: float
    finish_s: float
    memory_bytes: int
    disk_bytes: int
    enough_s: float | None
    reasons: tuple[str, ...]


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
    return 2 ** max(4, min(8, round(math.log2(max(1, images) / 50))))


def tested_images(data: Fingerprint) -> int:
    """Images of the test part: the stated one, or the share that the split will take."""
    return data.test_images or min(TEST_MOST, round(TEST_SHARE * data.images))


def reserve_of(data: Fingerprint, *, budget: float, images_per_s: float) -> float:
    """Seconds to keep for calibration, test, export and report.

    The fixed part is the export and the report; the rest is the test part, decoded and answered
    twice (by the network and by the graph) at about three times the training's speed.
    """
    return min(0.5 * budget, 5.0 + 2 * tested_images(data) / max(1.0, 3 * images_per_s))


def choose_size(speeds: Sequence[Speed], *, images: int, seconds: float) -> tuple[int, int]:
    """The largest size at which the measured network sees every image often enough in time."""
    enough = [s for s in speeds if s.images_per_s * seconds >= FEWEST_EPOCHS * images]
    return max(enough or speeds[:1], key=lambda s: s.size).size


def interpolate(speeds: Sequence[Speed]) -> list[Speed]:
    """Add the widths halfway between measured ones; cost is a power law between neighbors."""
    ordered = sorted(speeds, key=lambda s: s.width)
    between = [
        low.model_copy(
            update={
                "width": (low.width + high.width) // 2,
                "images_per_s": math.sqrt(low.images_per_s * high.images_per_s) * 0.95,
                "parameters": round(math.sqrt(low.parameters * high.parameters)),
                "activation_bytes": (low.activation_bytes + high.activation_bytes) // 2,
            }
        )
        for low, high in zip(ordered, ordered[1:], strict=False)
        if low.images_per_s and high.images_per_s
    ]
    return sorted([*ordered, *between], key=lambda s: s.width)


def epochs_wanted(images: int) -> float:
    """How often every image should be seen before a wider network pays."""
    return FEWEST_EPOCHS * max(1.0, (60_000 / max(1, images)) ** 0.8)


def choose_width(speeds: Sequence[Speed], *, images: int, seconds: float) -> Speed:
    """The widest network that sees every image often enough; else the fastest."""
    wanted = epochs_wanted(images) * images
    enough = [s for s in speeds if s.images_per_s * seconds >= wanted]
    fastest = max(speeds, key=lambda s: s.images_per_s)
    return max(enough, key=lambda s: (s.width, s.images_per_s)) if enough else fastest


def choose_augmentation(harm: Harm, *, epochs: float) -> tuple[Augmentation, tuple[str, ...]]:
    """Which changes of training images keep their meaning, judged by a brief training.

    A change is used if accuracy on changed images falls by no more than a tenth of itself, plus
    two standard errors. Where mirroring changes the meaning, as with digits, small rotations and
    scalings vary the images instead, if those are harmless.
    """
    error = 2 * math.sqrt(max(1e-9, harm.plain * (1 - harm.plain)) / max(1, harm.images))
    floor = 0.9 * harm.plain - error
    fine = {name: value >= floor for name, value in harm.changed.items()}
    words = {"flip": "mirrored", "flip_vertical": "turned upside down", "rotate": "rotated by 15°"}
    reasons = tuple(
        f"{words[name].capitalize()} images: {100 * value:.1f} % right against "
        f"{100 * harm.plain:.1f} % of upright ones, so "
        f"{'this change is harmless' if fine[name] else 'this change is not used'}."
        for name, value in harm.changed.items()
    )
    drawn = not fine["flip"] and fine["rotate"]
    how = Augmentation(
        shift=0.0625,
        flip=fine["flip"],
        flip_vertical=fine["flip"] and fine["flip_vertical"],
        rotate=12.0 if drawn else 0.0,
        scale=0.1 if drawn else 0.0,
        cutout=0.25 if not drawn and epochs >= 12 else 0.0,  # noqa: PLR2004 (short runs underfit)
    )
    return how, reasons


def plan(
    data: Fingerprint,
    machine: Machine,
    speeds: Sequence[Speed],
    settings: Settings,
    *,
    spent: float,
    defaults: TrainConfig,
) -> Plan:
    """Choose what to train and for how long.

    Args:
        data: What the data look like.
        machine: What the machine offers.
        speeds: Measured networks, all of one input size.
        settings: What the user decided; it is kept.
        spent: Seconds of the budget already used.
        defaults: The training's configuration before the user's wishes.

    Example:
        See `tests/test_plan.py`.
    """
    known = data.images - tested_images(data)
    small = known < SMALL
    images = known if small else round(0.91 * known)
    decode = data.images / max(1.0, data.decode_per_s)
    free = settings.budget - spent - decode - brief_seconds(settings.budget)
    guess = max(s.images_per_s for s in speeds)
    reserve = reserve_of(data, budget=settings.budget, images_per_s=guess)
    seconds = max(1.0, free - reserve)
    share = 1 - FOLD_SHARE if small else 1.0
    best = choose_width(speeds, images=images, seconds=seconds * share)
    params = {"width": best.width} if best.width else {}
    train = checked(
        TrainConfig,
        {
            **defaults.model_dump(),
            "batch": batch_of(images),
            "channels_last": best.channels_last,
            "seed": settings.seed,
            **settings.train,
        },
    )
    most = (MOST_EPOCHS_SMALL if small else MOST_EPOCHS) * images
    horizon = max(train.batch, int(min(most, best.images_per_s * seconds * share)))
    horizon = horizon // train.batch * train.batch
    wanted = FEWEST_EPOCHS * images
    enough = None
    if horizon < wanted:
        enough = settings.budget + (wanted - horizon) / max(1e-9, best.images_per_s) / share
    train_s = horizon / max(1e-9, best.images_per_s) / share
    reasons = _reasons(data, best, horizon / images, folds=FOLDS if small else 0, enough=enough)
    pixels = data.images * best.size[0] * best.size[1] * data.channels
    weights = 4 * best.parameters
    return Plan(
        size=best.size,
        params={**params, **settings.params},
        train=train,
        threads=machine.cores,
        images_per_s=best.images_per_s,
        horizon=horizon,
        folds=FOLDS if small else 0,
        train_s=train_s,
        reserve_s=reserve,
        finish_s=min(settings.budget, settings.budget - free + train_s + reserve),
        memory_bytes=PROCESS_BYTES
        + pixels
        + 8 * weights
        + round(2.5 * best.activation_bytes * train.batch),
        disk_bytes=12 * weights + 20_000_000,
        enough_s=enough,
        reasons=reasons,
    )


def brief_seconds(budget: float) -> float:
    """Seconds for the brief training that judges mirrored and rotated images."""
    return min(10.0, 0.035 * budget)


def probe_seconds(budget: float) -> float:
    """Seconds for measuring one candidate."""
    return min(2.0, max(0.1, 0.006 * budget))


def _reasons(
    data: Fingerprint, best: Speed, epochs: float, *, folds: int, enough: float | None
) -> tuple[str, ...]:
    height, width = best.size
    same = (height, width) == (data.heights[1], data.widths[1])
    words = [
        f"Images are read at {height} x {width} pixels"
        + (
            ", their own size."
            if same
            else f", stretched from {data.heights[1]} x {data.widths[1]} (the median)."
        ),
        f"{'Width ' + str(best.width) if best.width else 'Your network'} trains "
        f"{best.images_per_s:,.0f} images/s here and sees each image about {epochs:.1f} times.",
    ]
    if folds:
        words.append(
            f"With under {SMALL:,} images nothing is held out: {folds} further networks, each "
            "trained without a part of the images, give honest predictions for calibration."
        )
    if enough:
        words.append(
            f"The budget is short for this much data: about {duration(enough)} would be enough "
            f"to see each image {FEWEST_EPOCHS:.0f} times. You get the best this time allows."
        )
    return tuple(words)


def describe(chosen: Plan) -> tuple[str, ...]:
    """The plan in sentences, as `--dry-run` prints it."""
    return (
        *chosen.reasons,
        f"Expected: finished after {duration(chosen.finish_s)}, of which training "
        f"{duration(chosen.train_s)}; memory {megabytes(chosen.memory_bytes)}; disk "
        f"{megabytes(chosen.disk_bytes)}; {chosen.threads} threads, batch {chosen.train.batch}.",
    )
