"""From what the user points at to tensors: open, measure, plan, decode, clean, split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.core.pixels import recolor
from tunesmith.core.settings import Settings
from tunesmith.data.clean import check, twins, write_quarantine
from tunesmith.data.decode import Loaded, Sample, load
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.sources import Source
from tunesmith.data.split import Split, split
from tunesmith.execution.machine import Machine
from tunesmith.jobs.session import Session
from tunesmith.models.build import Family
from tunesmith.models.custom import check_network
from tunesmith.models.preprocess import Normalize, resize_pixels
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.probe import measure, transform_harm

MEMORY_SHARE = 0.25  # of the machine's memory may hold pixels; above it they are mapped from disk
FITTED = 2000  # images that first layers fit themselves to
NORMALIZED = 10_000  # images that mean and deviation are measured on
PROBED = 256  # images that throw-away networks train on
JUDGED = 1000  # images that mirrored and rotated copies are judged on


def tensor(pixels_NHWC: NDArray[np.uint8]) -> Tensor:
    """View pixels as a tensor ``(N, C, H, W)`` with channels last in memory; nothing is copied."""
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2)


def builder(
    family: Family,
    data: TrainData,
    *,
    classes: int,
    params: Mapping[str, Any],
) -> Callable[[], nn.Module]:
    """Bind all that building a network needs; layers that fit themselves to images do so."""
    size = (data.x_NCHW.shape[2], data.x_NCHW.shape[3])
    build = family.builder(classes, data.x_NCHW.shape[1], size=size, params=params)
    images = data.first(FITTED)

    def build_and_fit() -> nn.Module:
        network = build()
        fit_input: Callable[[Tensor], None] | None = getattr(network, "fit_input", None)
        if fit_input:
            fit_input(images)
        return network

    return build_and_fit


def default_config(family: Family) -> TrainConfig:
    """The training that has proven best: our own networks and the user's differ."""
    if family.source is None:
        return TrainConfig(lr=0.09 * 2**0.5)
    return TrainConfig(optimizer="adamw", lr=0.002, weight_decay=0.05, warmup=0.1, smoothing=0.1)


def measure_speeds(
    settings: Settings, sample: Sample, data: Fingerprint, family: Family, *, left_s: float
) -> list[planning.Speed]:
    """Train throw-away networks on the sample: first for a resolution, then for a width."""
    speed = partial(_speed, settings, sample, data, family)
    images, seconds = round(0.8 * data.images), 0.7 * left_s
    sizes = planning.sizes_of(data)
    searched = family.source is None and "width" not in settings.params
    middle = family.space["width"].default if searched else 0
    size = sizes[0]
    if len(sizes) > 1:
        by_size = [speed(size=each, width=middle) for each in sizes]
        size = planning.choose_size(by_size, images=images, seconds=seconds)
    if not searched:
        return [speed(size=size, width=0, channels_last=last) for last in (True, False)]
    speeds: list[planning.Speed] = []
    for width in planning.WIDTHS:
        speeds.append(speed(size=size, width=width))
        wanted = planning.epochs_wanted(images) * images
        if all(s.images_per_s * seconds < wanted for s in speeds[-2:]) and len(speeds) > 1:
            break  # wider ones are slower still; one alone may have met a busy moment
    best = planning.choose_width(speeds, images=images, seconds=seconds)
    return [*speeds, speed(size=size, width=best.width, channels_last=False)]


def _speed(
    settings: Settings,
    sample: Sample,
    data: Fingerprint,
    family: Family,
    *,
    size: tuple[int, int],
    width: int,
    channels_last: bool = True,
) -> planning.Speed:
    """Train one throw-away network; ``width`` 0 leaves the family's parameters as they are."""
    few = [recolor(image, data.channels) for image in sample.images[:PROBED]]
    x_NCHW = tensor(np.stack([resize_pixels(image, size) for image in few]))
    labels = torch.arange(len(few)) % data.classes
    batch = TrainData(
        x_NCHW=x_NCHW,
        y_N=labels,
        rows=torch.arange(len(labels)),
        normalize=Normalize.of(x_NCHW),
    )
    params = {**({"width": width} if width else {}), **settings.params}
    build = builder(family, batch, classes=data.classes, params=params)
    if family.source:
        check_network(build(), batch.normalize(x_NCHW[:2]), data.classes)
    config = default_config(family).model_copy(
        update={
            "batch": planning.batch_of(round(0.8 * data.images)),
            "channels_last": channels_last,
        }
    )
    found = measure(build, batch, config, seconds=planning.probe_seconds(settings.budget))
    return planning.Speed(
        width=width,
        size=size,
        channels_last=channels_last,
        images_per_s=found.images_per_s,
        parameters=found.parameters,
        activation_bytes=found.activation_bytes,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Everything a training needs, and what the report tells about the data.

    Attributes:
        source: What the user pointed at.
        loaded: Decoded images, at the network's size.
        split: Which image serves for what.
        labels: Class of each decoded image.
        train: The training part.
    """

    source: Source
    loaded: Loaded
    split: Split
    labels: NDArray[np.int64]
    train: TrainData

    def part(self, indices: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """Images ``(N, C, H, W)`` and labels of a part."""
        return tensor(self.loaded.pixels[indices]), self.labels[indices]


def prepare(
    session: Session, source: Source, data: Fingerprint, machine: Machine, size: tuple[int, int]
) -> Prepared:
    """Decode, clean and split.

    Raises:
        SourceError: Too many images cannot be decoded, or a class has none left.
    """
    loaded = load(
        source,
        channels=data.channels,
        size=size,
        resize=resize_pixels,
        threads=machine.cores,
        memory_bound=int(MEMORY_SHARE * machine.memory_bytes),
        folder=session.folder,
    )
    write_quarantine(session.folder / "quarantine.csv", loaded.rejected, source)
    check(source, loaded.rejected, loaded.kept)
    labels = source.labels[loaded.kept]
    parts = split(
        labels,
        source.given[loaded.kept],
        twins(loaded.pixels, labels),
        classes=len(source.classes),
        names=source.classes,
        seed=session.settings.seed,
    )
    x_NCHW, rows = tensor(loaded.pixels), torch.from_numpy(parts.train)
    train = TrainData(
        x_NCHW=x_NCHW,
        y_N=torch.from_numpy(labels),
        rows=rows,
        normalize=Normalize.of(x_NCHW[rows[:: max(1, len(rows) // NORMALIZED)]]),
    )
    return Prepared(source=source, loaded=loaded, split=parts, labels=labels, train=train)


def judge_transforms(
    session: Session, prepared: Prepared, family: Family, chosen: planning.Plan
) -> planning.Plan:
    """Decide on mirrored and rotated copies by a brief training, unless the user decided."""
    if "augmentation" in session.settings.train:
        return chosen
    classes = len(prepared.source.classes)
    narrow = {"width": planning.WIDTHS[1]} if "width" in family.space else {}
    if prepared.split.folds is None:
        train = prepared.train
        x_NCHW, y_N = prepared.part(prepared.split.validation[:JUDGED])
    else:
        held = prepared.split.folds == 0
        x_NCHW, y_N = prepared.part(prepared.split.train[held][:JUDGED])
        train = replace(prepared.train, rows=prepared.train.rows[torch.from_numpy(~held)])
    harm = transform_harm(
        builder(family, train, classes=classes, params={**chosen.params, **narrow}),
        train,
        x_NCHW,
        torch.from_numpy(y_N),
        chosen.train,
        seconds=planning.brief_seconds(session.settings.budget),
    )
    augmentation, reasons = planning.choose_augmentation(
        harm, epochs=chosen.horizon / len(prepared.train)
    )
    return chosen.model_copy(
        update={
            "train": chosen.train.model_copy(update={"augmentation": augmentation}),
            "reasons": (*chosen.reasons, *reasons),
        }
    )
