"""Whose folders make room for others: what trials leave would otherwise fill the disk."""

from collections.abc import Collection, Mapping

from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History
from tunesmith.tuning.timing import best_trial


def superfluous(
    history: History, sizes: Mapping[int, int], most: float, *, folders: int = 0
) -> list[int]:
    """Trials whose folders are to go, so that the others take no more than they may.

    First those that were trained to the end and beaten by another such trial: nobody asks for what
    they left any more. Then those that have paused, the one first of which the least is to be
    expected. Trial 0 and the best of the others stay in any case: one of them is handed over.

    Args:
        history: The trials.
        sizes: Bytes of their folders, by number.
        most: Bytes that all of them may take together.
        folders: How many as large as the largest may be there, even if they take more than that.

    Returns:
        Their numbers, in this order.
    """
    if _have_room(sizes.values(), most, folders):  # as nearly always
        return []
    values_N, kept = expected(history), {0, best_trial(history, first=1)}
    paused = sorted(history.paused(), key=lambda number: -float(values_N[number]))
    left, found = dict(sizes), []
    for number in (*_beaten(history), *paused):
        if _have_room(left.values(), most, folders):
            break
        if number not in kept and left.get(number):
            del left[number]
            found.append(number)
    return found


def _have_room(sizes: Collection[int], most: float, folders: int) -> bool:
    """Whether folders take no more than they may."""
    return sum(sizes) <= max(most, folders * max(sizes, default=0))


def _beaten(history: History) -> list[int]:
    """Trials that were trained to the end, the worst first, without the best of them."""
    done = [
        number
        for number, trial in enumerate(history.trials)
        if trial.at >= history.horizon and trial.failed is None
    ]
    return sorted(done, key=lambda number: (history.trials[number].last, number), reverse=True)[:-1]
