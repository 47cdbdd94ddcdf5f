"""Measure what networks cost on this machine, before one is chosen."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from tunesmith import plan as planning
from tunesmith.core.pixels import recolor
from tunesmith.core.settings import Settings, checked
from tunesmith.data.decode import Sample
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.jobs.planning.failures import explained, takes_channels_last, within_memory
from tunesmith.jobs.planning.resolutions import (
    affordable,
    affordable_size,
    enough_time,
    resolutions,
)
from tunesmith.jobs.planning.shrinking import check_shrunk
from tunesmith.jobs.planning.threads import with_fitting_threads
from tunesmith.jobs.run.limits import check_export
from tunesmith.jobs.run.prepare import builder, tensor
from tunesmith.models.build import Family
from tunesmith.models.custom import check_network
from tunesmith.models.preprocess import Normalize, resize_pixels
from tunesmith.models.pretrained import COLORS, are_learned, check_classifier, some_weights
from tunesmith.training.config import RECIPES, TUNED_RECIPES, TrainConfig
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.probe import measure
from tunesmith.training.slice import untrained

PROBED, DIFFERENT = 256, 64  # images to train throwaway networks on; how many of them are distinct
PROBED_PIXELS = 2_000_000  # per batch on a CPU, at most: a step must not take as long as a probe
# Share of the time besides reading that networks are measured for: the rest goes into measurements,
# predictions, export and report.
TRAINED_SHARE = 0.7
TOO_SLOW = 0.6  # share of the needed speed: less is no busy moment, and small images do not help
HALFWAY = 0.8  # the same for the width halfway to the next one, which is not measured
LAYOUTS_UNTIL = 32  # from this width on, channels last was faster wherever it was measured
# Share of a pretrained network's layers that are not trained. They are the costliest, and would
# hardly change: more steps of the others brought more in equal time.
FROZEN = 1 / 3
NOT_LEARNED = (
    "Your network has a `pretrained_cfg`, but most of its weights change with the random seed: it "
    "has learned nothing yet, and is trained from scratch."
)


def look_at(family: Family, data: Fingerprint, params: Mapping[str, Any]) -> Family:
    """Build one network of a family, to find out whether it is pretrained.

    A user's network may say so whatever its weights are, as timm's do.

    Raises:
        ModelError: The network cannot be built, or is not what it says of itself.
    """
    size = planning.sizes_of(data)[0]
    build = family.builder(data.classes, data.channels, size=size, params=params)
    network = untrained(build, 1)
    found = family.looked_at(network, data.channels)
    if family.source is None or found.pretrained is None:
        return found
    blank = torch.zeros((2, data.channels, *size))
    check_classifier(network, found.pretrained, blank, data.classes)
    some = some_weights(network, found.pretrained.classifier)
    del network  # it may be large
    others = some_weights(untrained(build, 0), found.pretrained.classifier)
    return found if are_learned(some, others) else replace(family, remark=NOT_LEARNED)


def default_config(family: Family, channels: int) -> TrainConfig:
    """Return the best known training config, which differs for pretrained networks.

    Args:
        family: Network family.
        channels: Channels of the images. Of four, the last one is unknown to pretrained networks,
            so that their first layers have to be trained.
    """
    changes: dict[str, Any]
    if family.pretrained:
        frozen = FROZEN if channels <= COLORS else 0.0
        changes = {
            **TUNED_RECIPES["adamw"],
            "optimizer": "adamw",
            "frozen": frozen,
            "label_smoothing": 0.1,
        }
    elif family.source is None:
        changes = {**RECIPES["muon"], "early_scale": 0.75}
    else:
        changes = {"optimizer": "adamw", **RECIPES["adamw"], "label_smoothing": 0.1}
    return TrainConfig.model_validate(changes)


def measure_speeds(
    settings: Settings,
    sample: Sample,
    data: Fingerprint,
    family: Family,
    *,
    left_s: float,
    size: tuple[int, int] | None = None,
) -> list[planning.Speed]:
    """Train throwaway networks on the sample: first to choose a resolution, then a width.

    All threads are used; if other processes keep the cores busy, also fewer, which stay in force if
    they are faster.

    Args:
        settings: User settings.
        sample: Images to train on.
        data: Fingerprint of the data.
        family: Network family.
        left_s: Seconds left of the budget.
        size: Height and width of the input, if already chosen.

    Raises:
        ModelError: The user's own network cannot be trained or exported.
        SettingsError: The network cannot compute images as small as the user's ``early_scale``
            makes them, or with channels last in memory, as the user asks.
    """
    once = partial(_speeds, settings, sample, data, family, left_s=left_s, size=size)
    again = partial(_again, settings, sample, data, family)
    speeds = with_fitting_threads(once, again) if _is_cpu(settings) else once()
    check_shrunk(settings, data, family, speeds[-1])
    if family.source:
        size = speeds[-1].size
        build = family.builder(data.classes, data.channels, size=size, params=settings.params)
        network = untrained(build, settings.seed)
        check_export(network, channels=data.channels, size=size)
    return speeds


def _is_cpu(settings: Settings) -> bool:
    return choose_device(settings.device).device.type == "cpu"


def _speeds(
    settings: Settings,
    sample: Sample,
    data: Fingerprint,
    family: Family,
    *,
    left_s: float,
    size: tuple[int, int] | None,
) -> list[planning.Speed]:
    layouts, precisions = _ways(settings)
    speed = partial(
        _speed, settings, sample, data, family, channels_last=layouts[0], mixed=precisions[0]
    )
    sizes = (size,) if size else planning.sizes_of(data)
    images = planning.trained_images(data)
    seconds = TRAINED_SHARE * planning.unread_seconds(data, sizes[0], left_s=left_s)
    if planning.has_folds(data):
        seconds *= 1 - planning.FOLD_SHARE
    fits = enough_time(data, family, seconds)
    if family.has_resolution:
        sides = resolutions(settings, data, family)
        return affordable(speed, data, sides, precisions, fits=fits)
    searched = "width" in family.space and family.source is None and "width" not in settings.params
    middle = family.space["width"].default if searched else 0
    size = affordable_size(partial(speed, width=middle), sizes, fits=fits)
    if not searched:
        ways = itertools.product(layouts, precisions)
        named = ({"channels_last": last, "mixed": mixed} for last, mixed in ways)
        return [*within_memory(partial(speed, size=size), named)]
    speeds = _widths(partial(speed, size=size), images, seconds)
    best = planning.choose_width(speeds, images=images, seconds=seconds)
    others = [{"mixed": mixed} for mixed in precisions[1:]]
    if best.width < LAYOUTS_UNTIL:
        others += [{"channels_last": last} for last in layouts[1:]]
    chosen = partial(speed, size=size, width=best.width)
    return [*speeds, *within_memory(chosen, others, needed=False)]


def _ways(settings: Settings) -> tuple[Sequence[bool], Sequence[bool]]:
    """Memory layouts (channels last or not) and precisions (mixed or not) that may be chosen."""
    given = checked(TrainConfig, settings.train).model_dump(exclude_unset=True)
    usual = (True, False) if choose_device(settings.device).autocast else (False,)
    layout, precision = (given.get(name) for name in ("channels_last", "mixed_precision"))
    return (
        (True, False) if layout is None else (layout,),
        usual if precision is None else (precision,),
    )


def _widths(
    speed: Callable[..., planning.Speed], images: int, seconds: float
) -> list[planning.Speed]:
    """Measure increasingly wide networks, until they are too slow."""
    speeds: list[planning.Speed] = []
    wanted = planning.epochs_wanted(images) * images
    for found in within_memory(speed, ({"width": width} for width in planning.WIDTHS)):
        speeds.append(found)
        seen = [s.images_per_s * seconds / wanted for s in speeds[-2:]]
        # Wider ones are slower still. One that is just too slow may have met a busy moment.
        if seen[-1] < TOO_SLOW or (len(seen) > 1 and max(seen) < 1):
            break
        # Measuring a wide one takes seconds, for nothing if even the width halfway to it is too
        # slow: cost is a power law between neighbors.
        if len(seen) > 1 and seen[-1] * (seen[-1] / seen[-2]) ** 0.5 < HALFWAY:
            break
    return speeds


def _speed(
    settings: Settings,
    sample: Sample,
    data: Fingerprint,
    family: Family,
    *,
    size: tuple[int, int],
    width: int = 0,
    resolution: int = 0,
    channels_last: bool,
    mixed: bool,
) -> planning.Speed:
    """Measure one throwaway network; 0 stands for the family's default."""
    batch = _batch(settings, sample, data, size)
    pixels = max(*size, resolution) ** 2
    searched = {"width": width, "resolution": resolution}
    params = {**{name: value for name, value in searched.items() if value}, **settings.params}
    made = builder(family, batch, classes=data.classes, params=params)
    build = partial(untrained, made, settings.seed)
    if family.source:
        few = batch.some(2).cpu()
        check_network(build(), few, data.classes)
        channels_last = channels_last and takes_channels_last(settings, build(), few)
    config = _config(settings, data, family, pixels).model_copy(
        update={"channels_last": channels_last, "mixed_precision": mixed}
    )
    seconds = planning.probe_seconds(settings.budget)
    found = explained(family, settings, partial(measure, build, batch, config, seconds=seconds))
    return planning.Speed(
        width=width,
        resolution=resolution,
        size=size,
        channels_last=channels_last,
        precision=str(batch.compute.products(mixed=mixed)).removeprefix("torch."),
        threads=torch.get_num_threads(),
        **asdict(found),
    )


def _again(
    settings: Settings, sample: Sample, data: Fingerprint, family: Family, speed: planning.Speed
) -> planning.Speed:
    """Measure a network once more, in the same way."""
    return _speed(
        settings,
        sample,
        data,
        family,
        size=speed.size,
        width=speed.width,
        resolution=speed.resolution,
        channels_last=speed.channels_last,
        mixed=speed.mixed,
    )


def _config(settings: Settings, data: Fingerprint, family: Family, pixels: int) -> TrainConfig:
    """Return the config to train with; on a CPU, with a smaller batch for large images."""
    config = planning.config_for(
        settings,
        default_config(family, data.channels),
        images=planning.trained_images(data),
        pretrained=family.pretrained is not None,
    )
    most = max(16, PROBED_PIXELS // pixels) if _is_cpu(settings) else config.batch
    return config.model_copy(update={"batch": min(most, config.batch)})


def _batch(
    settings: Settings, sample: Sample, data: Fingerprint, size: tuple[int, int]
) -> TrainData:
    """Return real images to train throwaway networks on; the labels do not matter."""
    few = [recolor(image, data.channels) for image in sample.images[:DIFFERENT]]
    some_NHWC = np.stack([resize_pixels(image, size) for image in few])
    rows = torch.arange(min(PROBED, len(sample.images)))
    x_NCHW = tensor(some_NHWC[rows.numpy() % len(few)])
    compute = choose_device(settings.device)
    return TrainData.on(compute, x_NCHW, rows % data.classes, rows, Normalize.of(x_NCHW))
