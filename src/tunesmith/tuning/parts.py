"""In which parts of a space's ranges a search found good values."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.space import Choice, Range, Space
from tunesmith.tuning.cube import to_units
from tunesmith.tuning.protocols import History

PARTS = 4  # of a numeric range, on its scale
SMALLEST = 3  # trials in a part; the median of fewer is luck


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a range, and the results of the trials in it.

    Attributes:
        low: Lowest value that was tried in it, or an option.
        high: Highest value that was tried in it, or the same option.
        trials: Number of trials in it.
        median: Median of their values; lower is better.
    """

    low: Any
    high: Any
    trials: int
    median: float


def parts(space: Space, history: History, name: str, *, at: int) -> tuple[Part, ...]:
    """Group trials by the quarter of a field's range that they are in, or by its option.

    Args:
        space: Search space.
        history: The trials; those in which the field is inactive do not count.
        name: Name of the field.
        at: Units of training after which to compare trials.

    Returns:
        The parts with at least `SMALLEST` trials, in the order of the range.
    """
    range_ = space[name].range
    trials = [t for t in history.trials if name in t.config and math.isfinite(t.best_until(at))]
    groups: dict[int, list[int]] = {}
    for place, part in enumerate(_parts_of(range_, [trial.config[name] for trial in trials])):
        groups.setdefault(part, []).append(place)
    found = []
    for _, places in sorted(groups.items()):
        if len(places) < SMALLEST:
            continue
        values = [trials[place].config[name] for place in places]
        if not isinstance(range_, Choice):
            values.sort()
        median = statistics.median(trials[place].best_until(at) for place in places)
        found.append(Part(low=values[0], high=values[-1], trials=len(places), median=median))
    return tuple(found)


def _parts_of(range_: Range, values: Sequence[Any]) -> list[int]:
    """Part number of each value."""
    count = len(range_.options) if isinstance(range_, Choice) else PARTS
    return [min(count - 1, int(unit * count)) for unit in to_units(range_, values)]


def first_look(history: History) -> int:
    """Most units of training after which all trials that did not fail can be compared.

    Example:
        >>> first_look(History(horizon=10))
        1

    """
    sound = [trial.at for trial in history.trials if trial.curve and trial.failed is None]
    return min(sound, default=1)
