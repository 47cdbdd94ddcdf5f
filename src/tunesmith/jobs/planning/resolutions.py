"""Choose the resolution of a pretrained network by measuring higher and higher ones."""

from collections.abc import Callable, Sequence
from functools import partial

from tunesmith import plan as planning
from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.jobs.planning.failures import within_memory
from tunesmith.models.build import Family

Measure = Callable[..., planning.Speed]


def resolutions(settings: Settings, data: Fingerprint, family: Family) -> Sequence[int]:
    """Return the resolutions to consider, lowest first: the user's, or those that a family has."""
    if "resolution" in settings.params:
        return (settings.params["resolution"],)
    has = family.space["resolution"]
    return tuple(filter(has.range.holds, planning.resolutions_of(data))) or (has.default,)


def affordable(
    speed: Measure,
    data: Fingerprint,
    sides: Sequence[int],
    precisions: Sequence[bool],
    *,
    seconds: float,
) -> list[planning.Speed]:
    """Measure higher and higher resolutions, as long as they fit and leave time for fine-tuning.

    Args:
        speed: Measures a network of a ``size``, a ``resolution`` and a precision (``mixed``).
        data: Fingerprint of the data.
        sides: Resolutions to consider, lowest first.
        precisions: Whether to multiply in mixed precision; the lowest resolution is measured in
            each, and what is faster there counts for all.
        seconds: Seconds for fine-tuning and for testing.

    Returns:
        The speed at each of these resolutions, lowest first.
    """
    lowest, *higher = sides
    at = partial(_at, speed, data)
    ways = ({"resolution": lowest, "mixed": mixed} for mixed in precisions)
    speeds = [max(within_memory(at, ways), key=lambda found: found.images_per_s)]
    fits = partial(
        planning.leaves_time,
        examples=planning.tuned_examples(data),
        asked=planning.asked_images(data),
        seconds=seconds,
    )
    for side in higher:
        if not fits(planning.at_most(speeds[-1], side)):  # then it need not be measured
            break
        way = {"resolution": side, "mixed": speeds[0].mixed}
        found = next(within_memory(at, [way], needed=False), None)
        if found is None or not fits(found):
            break
        speeds.append(found)
    return speeds


def _at(speed: Measure, data: Fingerprint, resolution: int, *, mixed: bool) -> planning.Speed:
    """Measure at a resolution, on images that are decoded no larger than it."""
    return speed(size=planning.size_for(data, resolution), resolution=resolution, mixed=mixed)
