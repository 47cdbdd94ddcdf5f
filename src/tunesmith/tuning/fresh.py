"""Propose configs that were not tried before."""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Config, Field, Float, Range, Space, complete
from tunesmith.tuning.protocols import History, Sampler

TURNS = 20  # draws, of which one may be new
COUNTED = 4096  # largest space to go through one by one, as if all fields were active


def new_config(sampler: Sampler, space: Space, history: History, *, seed: int) -> Config:
    """Draw a config; while it was tried before, draw again with another seed.

    Equal configs differ only by noise, so repeating one would select for luck. Samplers that model
    where values are good may never propose what is left of a small space: then any of it is taken.
    Of a large space, the last draw is accepted.
    """
    tried: list[dict[str, Any]] = [dict(trial.config) for trial in history.trials]
    config = sampler(space, history, seed=seed)
    for turn in range(1, TURNS):
        if dict(config) not in tried:
            return config
        config = sampler(space, history, seed=derive(seed, "again", turn))
    left = [] if dict(config) not in tried else _untried(space, history)
    return left[derive(seed, "left", len(tried)) % len(left)] if left else config


def _untried(space: Space, history: History) -> list[Config]:
    """Configs of a small space that were not tried; none of a large one."""
    if _most(space) > COUNTED:
        return []
    every = itertools.product(*(_each(field.range) for field in space.values()))
    configs = (complete(space, dict(zip(space, values, strict=True))) for values in every)
    found = {_key(config): config for config in configs}  # without those that differ in nothing
    tried = _keys(history)
    return [config for key, config in found.items() if key not in tried]


def is_exhausted(space: Space, history: History) -> bool:
    """Whether a space is finite, and each of its configs was tried.

    Example:
        >>> is_exhausted({"kind": Field(Choice("a", "b"), "a")}, History(horizon=10))
        False

    """
    if _size(space) > len(history.trials):  # as nearly always; called before each decision
        return False
    return len(_keys(history)) >= _size(space)


def _keys(history: History) -> set[str]:
    """Configs that were tried, to be compared."""
    return {_key(trial.config) for trial in history.trials}


def _key(config: Config) -> str:
    return json.dumps(dict(config), sort_keys=True)


def _size(space: Space) -> float:
    """Number of configs in a space; of a large one, as if all fields were active."""
    most = _most(space)
    return _count(list(space.items()), {}) if most <= COUNTED else most


def _most(space: Space) -> float:
    """Number of configs in a space, as if all fields were active."""
    return math.prod(_values(field.range) for field in space.values())


def _values(range_: Range) -> float:
    """Number of values in a range."""
    if isinstance(range_, Float):
        return math.inf
    found = len(range_.options) if isinstance(range_, Choice) else range_.high - range_.low + 1
    return float(found)  # a product of integers may be too large for a float


def _each(range_: Range) -> Sequence[Any]:
    """All values of a small range."""
    assert not isinstance(range_, Float), "what is counted is finite"
    return range_.options if isinstance(range_, Choice) else range(range_.low, range_.high + 1)


def _count(fields: list[tuple[str, Field]], chosen: Config) -> int:
    """Number of configs with the chosen values: an inactive field adds none."""
    if not fields:
        return 1
    (name, field), *rest = fields
    if field.when and not field.when.holds(chosen):
        return _count(rest, chosen)
    values = _each(field.range)
    if not any(other.when and other.when.field == name for _, other in rest):
        return len(values) * _count(rest, {**chosen, name: values[0]})
    return sum(_count(rest, {**chosen, name: value}) for value in values)
