"""The search space of an image training, read off the annotations of its configs' fields.

Fields are named as the user would set them: ``params.width``, ``train.lr``,
``train.augmentation.shift``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.core.settings import Settings
from tunesmith.core.space import Choice, Config, Field, Float, Int, Range, Space, When, space_of
from tunesmith.data.augmentation import Augmentation
from tunesmith.models.build import Family
from tunesmith.plan import Plan
from tunesmith.training.config import TrainConfig

# What is not searched: the optimizer, since learning rates mean another thing for another one; a
# pretrained network's resolution, which the plan has measured and images were read for (from
# scratch, shares of it are searched as `resolution_multiplier`), and its frozen layers, which a
# network from scratch must not have; the shape of the schedule, early small images and the EMA
# decay, which would bias the comparison of paused trainings; the balance of the classes, which the
# metric decides; the robust loss, which training itself decides; and flips, which the probe
# training decides.
FIXED = {
    "params.resolution", "train.optimizer", "train.frozen", "train.warmup", "train.early_scale",
    "train.ema_decay", "train.balance", "train.robust", "train.augmentation.flip",
    "train.augmentation.flip_vertical",
}  # fmt: skip
SPAN = 8.0  # on a log scale, largest factor between a tried value and the plan's
PARTS = ("params.", "train.augmentation.", "train.")


def training_space(family: Family, chosen: Plan, settings: Settings) -> dict[str, Field]:
    """Return what may be searched, with the plan's values as defaults; the user's are fixed."""
    values = flat(family, chosen)
    user = {f"params.{name}" for name in settings.params}
    user |= {f"train.{name}" for name in settings.train}
    space: dict[str, Field] = {}
    for name, field in _declared(family):
        part = name.rpartition(".")[0]
        if name in FIXED or name in user or part in user:
            continue
        # The field that it depends on may be fixed, and is then not in this space.
        when = field.when if field.when and field.when.field in space else None
        if field.when is None or when or field.when.holds(values):
            space[name] = Field(around(field.range, values[name]), values[name], when)
    return space


def around(range_: Range, value: Any) -> Range:
    """Narrow a logarithmic range to the surroundings of a value; others stay as they are.

    Example:
        >>> around(Int(8, 128, log=True), 32), around(Float(0.0, 0.5), 0.2)
        (Int(low=8, high=128, log=True), Float(low=0.0, high=0.5, log=False))
        >>> around(Float(1e-4, 1.0, log=True), 0.08)
        Float(low=0.01, high=0.64, log=True)

    """
    if isinstance(range_, Choice) or not range_.log:
        return range_
    low, high = max(range_.low, value / SPAN), min(range_.high, value * SPAN)
    if isinstance(range_, Int):
        return Int(math.ceil(low), math.floor(high), log=True)
    return Float(low, high, log=True)


def flat(family: Family, chosen: Plan) -> dict[str, Any]:
    """Return the values of a plan, by their names in the space."""
    params = {name: field.default for name, field in family.space.items()} | {**chosen.params}
    train = chosen.train.model_dump()
    augmentation = train.pop("augmentation")
    parts = zip(PARTS, (params, augmentation, train), strict=True)
    return {part + name: value for part, values in parts for name, value in values.items()}


def applied(chosen: Plan, config: Config) -> Plan:
    """Return the plan with the values of a config."""
    params: dict[str, Any] = dict(chosen.params)
    train: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    for name, value in config.items():
        part = next(part for part in PARTS if name.startswith(part))
        into = dict(zip(PARTS, (params, augmentation, train), strict=True))[part]
        into[name.removeprefix(part)] = value
    train["augmentation"] = chosen.train.augmentation.model_copy(update=augmentation)
    return chosen.model_copy(
        update={"params": params, "train": chosen.train.model_copy(update=train)}
    )


def _declared(family: Family) -> Iterator[tuple[str, Field]]:
    """Yield every ranged field, with names as in the space, also in its condition."""
    spaces: tuple[Mapping[str, Field] | Space, ...] = (
        family.space,
        space_of(Augmentation),
        space_of(TrainConfig),
    )
    for part, space in zip(PARTS, spaces, strict=True):
        for name, field in space.items():
            when = field.when and When(part + field.when.field, *field.when.values)
            yield part + name, Field(field.range, field.default, when)
