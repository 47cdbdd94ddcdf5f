"""Which trial folders to remove before they fill the disk."""

import math
from collections.abc import Collection, Mapping

from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History
from tunesmith.tuning.timing import best_trial


def superfluous(
    history: History,
    sizes: Mapping[int, int],
    most: float,
    *,
    folders: int = 0,
    suspended: Collection[int] = (),
) -> list[int]:
    """Choose trials whose folders to remove, so that the others stay within the limit.

    First come trials that train no more, fully trained or failed, and that another one of these
    beats: their state is of no use any more. Then come paused trials, the least promising first.
    Trial 0 and the best of the others are always kept: one of them is the result.

    Args:
        history: The trials.
        sizes: Size of the folders in bytes, by trial number.
        most: Limit of their total size, in bytes.
        folders: Number of folders as large as the largest that are allowed, even beyond the limit.
        suspended: Trials that count as failed for now, and may go on another time.

    Returns:
        Trial numbers, in this order.
    """
    if _have_room(sizes.values(), most, folders):  # as nearly always
        return []
    values_N, kept = expected(history), {0, best_trial(history, first=1)}
    paused = sorted(history.paused(), key=lambda number: -float(values_N[number]))
    left, found = dict(sizes), []
    for number in (*_beaten(history, suspended), *paused):
        if _have_room(left.values(), most, folders):
            break
        if number not in kept and left.get(number):
            del left[number]
            found.append(number)
    return found


def _have_room(sizes: Collection[int], most: float, folders: int) -> bool:
    """Whether folders are within the limit."""
    return sum(sizes) <= max(most, folders * max(sizes, default=0))


def _beaten(history: History, suspended: Collection[int]) -> list[int]:
    """Trials that train no more, the worst first, without the best of them."""
    done = [
        number
        for number, trial in enumerate(history.trials)
        if trial.is_over(history.horizon) and number not in suspended and math.isfinite(trial.last)
    ]
    return sorted(done, key=lambda number: (history.trials[number].last, number), reverse=True)[:-1]
