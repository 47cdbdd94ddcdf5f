"""Importance of each field of a space, as far as a search's trials can tell."""

import math
from collections.abc import Mapping
from itertools import takewhile

import numpy as np

from tunesmith.core.space import Choice, Config, Float, Int, Space
from tunesmith.core.words import short
from tunesmith.tuning.cube import to_units
from tunesmith.tuning.effect import Effect
from tunesmith.tuning.protocols import History

EDGE = 0.05  # share of a range, at either end of it
# Chance that a field is named though none has an effect. By the permutations, a p-value can be that
# small for each one of the fields; those of very many trials would take long.
LEVEL, PERMUTATIONS, TESTED = 0.05, 2000, 500
FEW = 5  # integers; if there are fewer, each is at an end or next to one


def importances(space: Space, history: History, *, at: int) -> dict[str, float]:
    """Share of the differences between trials that each field explains, largest first.

    Trials are compared by the ranks of their values after equal training, given how alike they are
    in the other fields; see `Effect`. Of many fields, some explain much by chance, so only those
    are named that do so significantly, at a level divided by the number of fields that are not
    named yet (Holm 1979). Fields that matter only in interactions are not seen.

    Args:
        space: Search space.
        history: The trials.
        at: Units of training after which to compare trials.

    Returns:
        Importances of the fields that matter, by name; empty if there are too few trials to tell.
    """
    sound = [trial for trial in history.trials if math.isfinite(trial.best_until(at))]
    drawn = np.random.default_rng(0).permutation(len(sound))[:TESTED]
    trials = [sound[n] for n in np.sort(drawn)]
    configs = [trial.config for trial in trials]
    values_N = np.array([trial.best_until(at) for trial in trials])
    effects = {name: Effect.of(name, space, configs, values_N) for name in space}
    tested = {name: effect for name, effect in effects.items() if effect is not None}
    draws = max(PERMUTATIONS, math.ceil(len(tested) / LEVEL))
    chances = {name: effect.chance(draws=draws) for name, effect in tested.items()}
    found = {name: tested[name].share for name in _significant(chances)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _significant(chances: Mapping[str, float]) -> list[str]:
    """Names whose chance is below the level, for all of them together (Holm 1979).

    Example:
        >>> _significant({"a": 0.03, "b": 0.001, "c": 0.02, "d": 0.9})
        ['b']
        >>> _significant({"a": 0.03, "b": 0.001, "c": 0.02})
        ['b', 'c', 'a']

    """
    order = sorted(chances, key=lambda name: chances[name])
    left = range(len(order), 0, -1)
    is_named = (chances[name] <= LEVEL / many for name, many in zip(order, left, strict=True))
    return [name for name, _ in takewhile(lambda pair: pair[1], zip(order, is_named, strict=True))]


def at_edges(space: Space, config: Config) -> dict[str, str]:
    """Return the fields of a config at an end of their range, and which: ``"low"`` or ``"high"``.

    A low end of 0 cannot be exceeded, and neither can a high end of 1 on a linear scale, which is
    all of something. Of few integers, one is at an end by chance.
    """
    found = {}
    for name, value in config.items():
        range_ = space[name].range
        if isinstance(range_, Choice) or _are_few(range_):
            continue
        unit = float(to_units(range_, [value])[0])
        is_whole = isinstance(range_, Float) and not range_.log and range_.high == 1
        if (unit <= EDGE or value == range_.low) and range_.low != 0:
            found[name] = "low"
        elif (unit >= 1 - EDGE or value == range_.high) and not is_whole:
            found[name] = "high"
    return found


def edge_words(space: Space, config: Config, importance: Mapping[str, float]) -> list[str]:
    """Warn of fields that may have better values beyond their range, one sentence each.

    Of many fields, some are at an end by chance; only those that matter are reported.

    Args:
        space: Search space.
        config: Best config.
        importance: Importance of the fields that matter; see `importances`.
    """
    return [
        f"The best {name} that was found, {short(config[name])}, lies at the {end} end of what "
        f"was tried ({space[name].range}): there may be better beyond."
        for name, end in at_edges(space, config).items()
        if name in importance
    ]


def _are_few(range_: Int | Float) -> bool:
    return isinstance(range_, Int) and range_.high - range_.low + 1 < FEW
