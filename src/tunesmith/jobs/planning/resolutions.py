"""Choose the size of the images, or the resolution inside a network, by measuring larger ones."""

from collections.abc import Callable, Sequence
from functools import partial

from tunesmith import plan as planning
from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.jobs.planning.failures import within_memory
from tunesmith.models.build import Family

Measure = Callable[..., planning.Speed]
Fits = Callable[[planning.Speed], bool]


def resolutions(settings: Settings, data: Fingerprint, family: Family) -> Sequence[int]:
    """Return the resolutions to consider, lowest first: the user's, or those that a family has.

    A network from scratch gains little from enlarged images. It has the sizes that others from
    scratch have, and the one that the user made it for.
    """
    if "resolution" in settings.params:
        return (settings.params["resolution"],)
    has = family.space["resolution"]
    if family.pretrained:
        sides = planning.resolutions_of(data)
    else:
        sides = tuple(sorted({has.default, *map(max, planning.sizes_of(data))}))
    return tuple(filter(has.range.holds, sides)) or (has.default,)


def enough_time(data: Fingerprint, family: Family, seconds: float) -> Fits:
    """Return what tells whether a speed leaves enough time to train a family.

    Args:
        data: Fingerprint of the data.
        family: Network family: one that is pretrained needs far fewer examples.
        seconds: Seconds for training and for testing.
    """
    if family.pretrained is None:
        images = planning.trained_images(data)
        return partial(planning.sees_enough, images=images, seconds=seconds)
    return partial(
        planning.leaves_time,
        examples=planning.tuned_examples(data),
        asked=planning.asked_images(data),
        seconds=seconds,
    )


def affordable(
    speed: Measure,
    data: Fingerprint,
    sides: Sequence[int],
    precisions: Sequence[bool],
    *,
    fits: Fits,
) -> list[planning.Speed]:
    """Measure higher and higher resolutions, as long as they fit and leave enough time.

    Args:
        speed: Measures a network of a ``size``, a ``resolution`` and a precision (``mixed``).
        data: Fingerprint of the data.
        sides: Resolutions to consider, lowest first.
        precisions: Whether to multiply in mixed precision; the lowest resolution is measured in
            each, and what is faster there counts for all.
        fits: Whether a speed leaves enough time.

    Returns:
        The speed at each of these resolutions, lowest first.
    """
    lowest, *higher = sides
    at = partial(_at, speed, data)
    ways = ({"resolution": lowest, "mixed": mixed} for mixed in precisions)
    speeds = [max(within_memory(at, ways), key=lambda found: found.images_per_s)]
    for side in higher:
        if not fits(planning.at_most(speeds[-1], side)):  # then it need not be measured
            break
        way = {"resolution": side, "mixed": speeds[0].mixed}
        found = next(within_memory(at, [way], needed=False), None)
        if found is None or not fits(found):
            break
        speeds.append(found)
    return speeds


def affordable_size(
    speed: Measure, sizes: Sequence[tuple[int, int]], *, fits: Fits
) -> tuple[int, int]:
    """Measure larger and larger images, until they leave too little time, and choose a size.

    Args:
        speed: Measures a network on images of a ``size``.
        sizes: Sizes to consider, smallest first.
        fits: Whether a speed leaves enough time.
    """
    if len(sizes) == 1:
        return sizes[0]
    speeds: list[planning.Speed] = []
    for found in within_memory(speed, ({"size": size} for size in sizes)):
        speeds.append(found)
        if not fits(found):
            break  # larger ones are slower still
    return planning.choose_size(speeds, fits)


def _at(speed: Measure, data: Fingerprint, resolution: int, *, mixed: bool) -> planning.Speed:
    """Measure at a resolution, on images that are decoded no larger than it."""
    return speed(size=planning.size_for(data, resolution), resolution=resolution, mixed=mixed)
