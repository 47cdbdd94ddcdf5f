"""The search space of an image training, read off the annotations of its configs' fields.

Fields are named as the user would set them: ``params.width``, ``train.lr``,
``train.augmentation.shift``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tunesmith.core.settings import Settings
from tunesmith.core.space import Choice, Config, Field, Float, Int, Range, Space, When, space_of
from tunesmith.data.augmentation import Augmentation
from tunesmith.jobs.run.given import meant_for
from tunesmith.models.build import Family
from tunesmith.plan import UNITS, Plan
from tunesmith.plan.speeds import passes_in
from tunesmith.training.config import OF_OPTIMIZER, RECIPES, TrainConfig

# What is not searched: the resolution of a network that has one in pixels, a user's too, which the
# plan has measured and images were read for (of ours from scratch, shares of it are searched as
# `resolution_multiplier`); a pretrained network's frozen layers, which a network from scratch must
# not have; the shape of the schedule, early small images and the EMA decay, which would bias the
# comparison of paused trainings; the balance of the classes, which the metric decides; the robust
# loss, which training itself decides; and flips, which the probe training decides.
FIXED = {
    "params.resolution", "train.frozen", "train.warmup", "train.early_scale", "train.ema_decay",
    "train.balance", "train.robust", "train.augmentation.flip", "train.augmentation.flip_vertical",
}  # fmt: skip
# Of our own networks, the best optimizer is known. A user's may do better with another one, for
# which values mean another thing: each comes with a recipe, of which the learning rate is searched.
OPTIMIZER, LR = "train.optimizer", "train.lr"
BATCH, BATCHES = "train.batch", 2  # in a unit of a training, at least
SPAN = 8.0  # on a log scale, largest factor between a tried value and the plan's
PARTS = ("params.", "train.augmentation.", "train.")


def training_space(family: Family, chosen: Plan, settings: Settings) -> dict[str, Field]:
    """Return what may be searched, with the plan's values as defaults; the user's are fixed."""
    values, settings = flat(family, chosen), meant_for(family, settings)
    user = {f"params.{name}" for name in settings.params}
    user |= {f"train.{name}" for name in settings.train}
    space = _optimizers(values) if _is_any_optimizer(family, user) else {}
    fixed = FIXED if family.has_resolution else FIXED - {"params.resolution"}
    for name, field in declared(family):
        part = name.rpartition(".")[0]
        if name in fixed | {OPTIMIZER} or name in user or part in user:
            continue
        # The field that it depends on may be fixed, and is then not in this space.
        when = field.when if field.when and field.when.field in space else None
        if OPTIMIZER in space and name.removeprefix("train.") in OF_OPTIMIZER:
            when = When(OPTIMIZER, values[OPTIMIZER]) if _is_active(field, values) else None
        if when or _is_active(field, values):
            space[name] = Field(around(field.range, values[name]), values[name], when)
    if chosen.search is not None and BATCH in space:
        space[BATCH] = _in_units(space[BATCH], chosen.search.examples)
    return space


def _in_units(field: Field, examples: int) -> Field:
    """Bound the batch, of which each unit of a training has one at least.

    With larger ones, a training would have more examples than others, most of all that of a network
    which is to have few, since each takes it long.
    """
    batch = field.range
    assert isinstance(batch, Int)
    most = max(field.default, batch.low + 1, examples // (BATCHES * UNITS))
    return replace(field, range=replace(batch, high=min(batch.high, most)))


def _is_active(field: Field, values: Config) -> bool:
    return field.when is None or field.when.holds(values)


def _is_any_optimizer(family: Family, user: set[str]) -> bool:
    """Whether the optimizer is searched: of a user's own network, unless a value of it is set."""
    is_own = family.source is not None and family.pretrained is None
    return is_own and not user & {f"train.{name}" for name in OF_OPTIMIZER}


def _optimizers(values: Config) -> dict[str, Field]:
    """The field of the optimizer, and a learning rate for each that the plan has not chosen."""
    chosen, range_ = values[OPTIMIZER], space_of(TrainConfig)["lr"].range
    space = {OPTIMIZER: Field(Choice(*RECIPES), chosen)}
    for name, recipe in RECIPES.items():
        if name != chosen:
            when, lr = When(OPTIMIZER, name), recipe["lr"]
            space[_rate_of(name)] = Field(around(range_, lr), lr, when)
    return space


def _rate_of(optimizer: str) -> str:
    """Name in the space of the learning rate of an optimizer that the plan has not chosen."""
    return f"train.{optimizer}.lr"


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


def as_set(config: Config) -> Config:
    """Return a config by the names under which a user would set its values.

    An optimizer that the plan has not chosen comes with the rest of its recipe.
    """
    rate = _rate_of(str(config.get(OPTIMIZER)))
    if rate not in config:
        return config
    recipe = {f"train.{name}": value for name, value in RECIPES[config[OPTIMIZER]].items()}
    rest = {name: value for name, value in config.items() if name != rate}
    return rest | recipe | {LR: config[rate]}


def applied(chosen: Plan, config: Config) -> Plan:
    """Return the plan with the values of a config."""
    params: dict[str, Any] = dict(chosen.params)
    train: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    for name, value in as_set(config).items():
        part = next(part for part in PARTS if name.startswith(part))
        into = dict(zip(PARTS, (params, augmentation, train), strict=True))[part]
        into[name.removeprefix(part)] = value
    train["augmentation"] = chosen.train.augmentation.model_copy(update=augmentation)
    return chosen.model_copy(
        update={"params": params, "train": chosen.train.model_copy(update=train)}
    )


def at_pace(chosen: Plan, pace: float, *, asked: int, budget: float) -> Plan:
    """Return the plan for a network of another speed, with as many views as there is time for.

    Args:
        chosen: Plan with the speeds of one network.
        pace: Speed of the other one, relative to that.
        asked: Number of images to predict once it is trained.
        budget: Seconds of the run.
    """
    answers_per_s = pace * chosen.answers_per_s
    passes = min(chosen.passes, passes_in(budget, asked / max(1.0, answers_per_s)))
    speeds = {"images_per_s": pace * chosen.images_per_s, "answers_per_s": answers_per_s}
    return chosen.model_copy(update={**speeds, "passes": passes})


def declared(family: Family) -> Iterator[tuple[str, Field]]:
    """Yield every ranged field of a training, with names as in the space, also in conditions."""
    spaces: tuple[Mapping[str, Field] | Space, ...] = (
        family.space,
        space_of(Augmentation),
        space_of(TrainConfig),
    )
    for part, space in zip(PARTS, spaces, strict=True):
        for name, field in space.items():
            when = field.when and When(part + field.when.field, *field.when.values)
            yield part + name, Field(field.range, field.default, when)
