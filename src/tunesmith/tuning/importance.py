"""Importance of each field of a space, as far as a search's trials can tell."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.space import Choice, Config, Float, Int, Range, Space
from tunesmith.core.words import short
from tunesmith.tuning.cube import Floats, to_units
from tunesmith.tuning.protocols import History

GROUPS = 3  # of numeric values: low, middle, high, so that an optimum in between shows
FEWEST = 4 * GROUPS  # trials below which nothing can be said
EDGE = 0.05  # share of a range, at either end of it
MATTERS = 0.05  # importance below which the position of the best value is chance
FEW = 5  # integers; if there are fewer, each is at an end or next to one


def importances(space: Space, history: History, *, at: int) -> dict[str, float]:
    """Share of the differences between trials that each field explains alone, largest first.

    Trials are compared by the ranks of their values after equal training, and grouped by a field's
    value. The share that random groups would explain is subtracted (Kelley 1935, epsilon squared),
    so that a field without effect has little. Fields that matter only in interactions are not seen.

    Args:
        space: Search space.
        history: The trials.
        at: Units of training after which to compare trials.

    Returns:
        Importances by field, empty if there are too few trials.
    """
    trials = [trial for trial in history.trials if math.isfinite(trial.best_until(at))]
    if len(trials) < FEWEST:
        return {}
    values_N = np.array([trial.best_until(at) for trial in trials])
    rank_N = _ranks(values_N)
    found = {}
    for name, field in space.items():
        configs = [trial.config for trial in trials]
        known_N = np.array([name in config for config in configs])
        if known_N.sum() >= FEWEST:
            group_N = _groups(field.range, [config[name] for config in configs if name in config])
            found[name] = _explained(rank_N[known_N], group_N)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


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
    count, groups = len(rank_N), len(np.unique(group_N))
    total = float(((rank_N - rank_N.mean()) ** 2).sum())
    if total == 0 or groups == 1 or count <= groups:
        return 0.0
    parts = [rank_N[group_N == group] for group in np.unique(group_N)]
    within = float(sum(((part - part.mean()) ** 2).sum() for part in parts))
    return max(0.0, 1 - within / (count - groups) / (total / (count - 1)))


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

    Of many fields, some are at an end by chance; only important ones are reported.

    Args:
        space: Search space.
        config: Best config.
        importance: Importance of each field; see `importances`.
    """
    return [
        f"The best {name} that was found, {short(config[name])}, lies at the {end} end of what "
        f"was tried ({space[name].range}): there may be better beyond."
        for name, end in at_edges(space, config).items()
        if importance.get(name, 0.0) >= MATTERS
    ]


def _are_few(range_: Int | Float) -> bool:
    return isinstance(range_, Int) and range_.high - range_.low + 1 < FEW
