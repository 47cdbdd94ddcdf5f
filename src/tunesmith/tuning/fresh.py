"""Configs that were not tried before."""

import json
import math
from typing import Any

from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Config, Int, Space
from tunesmith.tuning.protocols import History, Sampler

TURNS = 20  # draws until one that was tried before is taken after all


def new_config(sampler: Sampler, space: Space, history: History, *, seed: int) -> Config:
    """Draw a config; while it was tried before, draw again with another seed.

    Equal configs give equal results but for noise: to repeat them is to be lucky once.
    """
    tried: list[dict[str, Any]] = [dict(trial.config) for trial in history.trials]
    config = sampler(space, history, seed=seed)
    for turn in range(1, TURNS):
        if dict(config) not in tried:
            break
        config = sampler(space, history, seed=derive(seed, "again", turn))
    return config


def is_exhausted(space: Space, history: History) -> bool:
    """Whether a space is finite, and each of its configs was tried.

    Example:
        >>> from tunesmith.core.space import Field
        >>> is_exhausted({"kind": Field(Choice("a", "b"), "a")}, History(horizon=10))
        False

    """
    size = 1.0
    for field in space.values():
        match field.range:
            case Choice():
                size *= len(field.range.options)
            case Int():
                size *= field.range.high - field.range.low + 1
            case _:
                size = math.inf
    if size > len(history.trials):  # as nearly always: this is asked before each decision
        return False
    return len({json.dumps(dict(trial.config), sort_keys=True) for trial in history.trials}) >= size
