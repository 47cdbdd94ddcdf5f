"""What slices take, and the time that is kept for what must be finished: trial 0 and the best."""

import math

from tunesmith.tuning.protocols import GoOn, History, Start, Trial

SLACK = 1.15  # a training takes up to so much longer than it took so far
PATIENCE, GRACE_S = 10.0, 30.0  # a slice may take so many times what is expected, or this long
FIRST_SHARE = 0.25  # of the time left, for a slice of which nothing is known


def remaining_s(trial: Trial, horizon: int) -> float:
    """Seconds that a trial still needs; 0 if it was never measured, so that nobody knows."""
    return trial.seconds / trial.at * (horizon - trial.at) * SLACK if trial.at else 0.0


def best_trial(history: History, *, first: int = 0) -> int | None:
    """Number of the trial that would be handed over: the one with the best last value.

    What a trial left after its last slice is what there is of it; that it was better once helps
    nobody. One that failed, or whose folder is gone, has nothing to hand over.

    Args:
        history: The trials.
        first: Number of the first that counts.

    Returns:
        None if there is none.
    """
    sound = [
        number
        for number, trial in enumerate(history.trials)
        if number >= first
        and trial.failed is None
        and not trial.is_dropped
        and math.isfinite(trial.last)
    ]
    return min(sound, key=lambda number: history.trials[number].last, default=None)


def must_go_on(history: History, *, left_s: float, block: int) -> GoOn | None:
    """What to train now, because there is just enough time left to finish it.

    Trial 0, the defaults, comes first: a search then never ends with something worse. The best
    trial comes next, so that what is handed over was trained to the end.

    Args:
        history: The trials.
        left_s: Of the budget.
        block: Units of a slice.

    Returns:
        The slice; None while there is time for something else as well.
    """
    must = _must_finish(history)
    costs = [t.seconds / t.at for t in history.trials if t.at]
    needed_s = sum(remaining_s(history.trials[number], history.horizon) for number in must)
    # Once more than a block must be left, or the next decision would come too late.
    if left_s > needed_s + max(costs, default=0.0) * block:
        return None
    for number in must:
        if number in history.paused():
            return GoOn(number, min(history.horizon, history.trials[number].at + block))
    return None


def _must_finish(history: History) -> list[int]:
    """Numbers of the trials that have to be finished: the defaults, and the best."""
    wanted = [n for n in (0, best_trial(history)) if n is not None and n < len(history.trials)]
    return [
        number
        for number in dict.fromkeys(wanted)
        if history.trials[number].failed is None and history.trials[number].at < history.horizon
    ]


def kept_s(history: History, decision: Start | GoOn) -> float:
    """Seconds that a slice must not take, even if it hangs: kept for what has to be finished.

    None where the slice is of such a trial itself, and none for one that trains now: its own worker
    goes on with it.
    """
    must = _must_finish(history)
    if isinstance(decision, GoOn) and decision.trial in must:
        return 0.0
    waiting = [history.trials[number] for number in must if number in history.paused()]
    return sum(remaining_s(trial, history.horizon) for trial in waiting)


def expected_s(history: History, decision: Start | GoOn) -> float:
    """Seconds that a slice probably takes; 0 if nothing was measured yet."""
    measured = [trial for trial in history.trials if trial.at]
    begin = 0
    if isinstance(decision, GoOn) and history.trials[decision.trial].at:
        measured = [history.trials[decision.trial]]
        begin = measured[0].at
    units = sum(trial.at for trial in measured)
    return (decision.until - begin) * sum(t.seconds for t in measured) / max(1, units)


def deadline_s(expected: float, left_s: float) -> float:
    """Seconds after which a slice is given up, by what it probably takes and what is left.

    Example:
        >>> deadline_s(10.0, 1000.0), deadline_s(1.0, 1000.0), deadline_s(10.0, 50.0)
        (100.0, 30.0, 50.0)
        >>> deadline_s(0.0, 1000.0), deadline_s(0.0, 50.0), deadline_s(0.0, 10.0)
        (250.0, 30.0, 10.0)

    """
    return min(left_s, _patience_s(expected, left_s))


def is_cut(expected: float, left_s: float) -> bool:
    """Whether less is left than a slice may take: that it is not over by then says nothing of it.

    Example:
        >>> is_cut(10.0, 1000.0), is_cut(10.0, 50.0), is_cut(0.0, 1000.0), is_cut(0.0, 10.0)
        (False, True, False, True)

    """
    return left_s < _patience_s(expected, left_s)


def _patience_s(expected: float, left_s: float) -> float:
    """Seconds after which a slice hangs, by all that is known of it."""
    return max(GRACE_S, PATIENCE * expected if expected else FIRST_SHARE * left_s)
