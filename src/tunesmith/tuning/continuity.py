"""Whether a user's function goes on from its folder, or begins anew each time.

A search in slices would mean nothing if it began anew, and nobody would see it.
"""

from collections.abc import Mapping

from tunesmith.tuning.protocols import History, Trial

ENOUGH = 3  # trials that went on, before anything is said of them
ALIKE = 0.2  # of the way from a trial's first value to where it paused


def begins_anew(history: History, slices: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether every trial that went on repeated its beginning.

    A curve continues where it paused. One that begins anew is back at its first value, or ends its
    second slice, if that is as long as the first, exactly where it ended the first.

    Args:
        history: The trials.
        slices: Of each trial, the units at which its slices ended.
    """
    resumed = [
        (trial, slices[number])
        for number, trial in enumerate(history.trials)
        if len(slices.get(number, ())) > 1
    ]
    if len(resumed) < ENOUGH or len({trial.curve[0].value for trial, _ in resumed}) < ENOUGH:
        return False
    return all(_repeats(trial, *ends[:2]) for trial, ends in resumed)


def _repeats(trial: Trial, pause: int, end: int) -> bool:
    first = [o.value for o in trial.curve if o.at <= pause]
    second = [o.value for o in trial.curve if pause < o.at <= end]
    if len(first) == 1 or len(second) == 1:
        return end == 2 * pause and first[-1] == second[-1]
    way = abs(first[-1] - first[0])
    return abs(second[0] - first[0]) <= ALIKE * way
