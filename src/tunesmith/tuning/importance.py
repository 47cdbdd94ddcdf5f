"""Importance of each field of a space, as far as a search's trials can tell.

Letters: N = trials, G = groups of them, B = permutations.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.space import Choice, Config, Float, Int, Range, Space
from tunesmith.core.words import short
from tunesmith.tuning.cube import Floats, to_units
from tunesmith.tuning.parts import SMALLEST
from tunesmith.tuning.protocols import History

GROUPS = 3  # of numeric values: low, middle, high, so that an optimum in between shows
FEWEST = 4 * GROUPS  # trials below which nothing can be said
EDGE = 0.05  # share of a range, at either end of it
# Chance that a field is named though none has an effect. By the permutations, a p-value can be that
# small for each one of the fields; those of very many trials would take long.
LEVEL, PERMUTATIONS, TESTED = 0.05, 2000, 1000
ROUNDING = 1e-9  # share of a statistic below which a difference is none
FEW = 5  # integers; if there are fewer, each is at an end or next to one


def importances(space: Space, history: History, *, at: int) -> dict[str, float]:
    """Share of the differences between trials that each field explains alone, largest first.

    Trials are compared by the ranks of their values after equal training, and grouped by a field's
    value. The share that random groups would explain is subtracted (Kelley 1935, epsilon squared).
    Of many fields, some explain much by chance, so only those are named that do so significantly
    (Kruskal and Wallis 1952), at a level divided by the number of fields that are not named yet
    (Holm 1979). Fields that matter only in interactions are not seen.

    Args:
        space: Search space.
        history: The trials.
        at: Units of training after which to compare trials.

    Returns:
        Importances of the fields that matter, by name; empty if there are too few trials to tell.
    """
    trials = [trial for trial in history.trials if math.isfinite(trial.best_until(at))]
    rank_N = _ranks(np.array([trial.best_until(at) for trial in trials]))
    tested = {}
    for name, field in space.items():
        known = [place for place, trial in enumerate(trials) if name in trial.config]
        group_N = _groups(field.range, [trials[place].config[name] for place in known])
        is_large_N = np.bincount(group_N)[group_N] >= SMALLEST
        if is_large_N.sum() >= FEWEST:
            tested[name] = rank_N[known][is_large_N], group_N[is_large_N]
    draws = max(PERMUTATIONS, math.ceil(len(tested) / LEVEL))
    chances = {name: _chance(*ranked, draws=draws) for name, ranked in tested.items()}
    found = {name: _explained(*tested[name]) for name in _significant(chances)}
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


def _ranks(values_N: Floats) -> Floats:
    """Rank of each value; equal ones share the middle of theirs."""
    _, place_N, count_M = np.unique(values_N, return_inverse=True, return_counts=True)
    middle_M: Floats = np.cumsum(count_M) - count_M / 2
    return middle_M[place_N]


def _groups(range_: Range, values: Sequence[object]) -> NDArray[np.int64]:
    """Group number of each value: its option, or its third of the values."""
    unit_N = to_units(range_, values)
    if isinstance(range_, Choice):
        return np.unique(unit_N, return_inverse=True)[1]
    below_N = np.searchsorted(np.sort(unit_N), unit_N)
    return below_N * GROUPS // len(unit_N)


def _explained(rank_N: Floats, group_N: NDArray[np.int64]) -> float:
    """Share of the variance between groups, less that expected by chance; at least 0."""
    count, groups = len(rank_N), np.unique(group_N)
    parts = [rank_N[group_N == group] for group in groups]
    total, *within = (float(((part - part.mean()) ** 2).sum()) for part in (rank_N, *parts))
    return max(0.0, 1 - sum(within) / (count - len(groups)) / (total / (count - 1)))


def _chance(rank_N: Floats, group_N: NDArray[np.int64], *, draws: int) -> float:
    """Chance that random groups of these sizes differ at least as much: their p-value.

    The statistic is that of Kruskal and Wallis but for constants. Its distribution is drawn, since
    that of few trials is no chi-squared one, and always with the same seed.
    """
    rng = np.random.default_rng(0)
    some_N = rng.permutation(len(rank_N))[:TESTED]
    rank_N, group_N = rank_N[some_N], group_N[some_N]
    is_in_NG = (group_N[:, None] == np.unique(group_N)).astype(np.float64)
    drawn_BN = np.tile(rank_N, (draws - 1, 1))
    rng.permuted(drawn_BN, axis=1, out=drawn_BN)
    found, drawn_B = (
        (ranks @ is_in_NG) ** 2 @ (1 / is_in_NG.sum(axis=0)) for ranks in (rank_N, drawn_BN)
    )
    return float(1 + (drawn_B >= found * (1 - ROUNDING)).sum()) / draws


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
