"""Whose folders make room for others: what trials leave would otherwise fill the disk."""

from collections.abc import Mapping

from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History
from tunesmith.tuning.timing import best_trial


def superfluous(history: History, sizes: Mapping[int, int], most: float) -> list[int]:
    """Trials whose folders are to go, so that the others take no more than they may.

    First those that were trained to the end and beaten by another such trial: nobody asks for what
    they left any more. Then those that have paused, the one first of which the least is to be
    expected. Trial 0 and the best of the others stay in any case: one of them is handed over.

    Args:
        history: The trials.
        sizes: Bytes of their folders, by number.
        most: Bytes that all of them may take together.

    Returns:
        Their numbers, in this order.
    """
    if (total := sum(sizes.values())) <= most:  # as nearly always
        return []
    values_N, kept = expected(history), {0, best_trial(history, first=1)}
    paused = sorted(history.paused(), key=lambda number: -float(values_N[number]))
    found = []
    for number in (*_beaten(history), *paused):
        if total > most and number not in kept and sizes.get(number):
            total -= sizes[number]
            found.append(number)
    return found


def _beaten(history: History) -> list[int]:
    """Trials that were trained to the end, the worst first, without the best of them."""
    done = [
        number
        for number, trial in enumerate(history.trials)
        if trial.at >= history.horizon and trial.failed is None
    ]
    return sorted(done, key=lambda number: (history.trials[number].last, number), reverse=True)[:-1]
