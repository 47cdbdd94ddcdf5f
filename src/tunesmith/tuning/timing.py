"""What slices take, and the time that is kept for what must be finished: trial 0 and the best."""

import math

from tunesmith.tuning.protocols import History, Resume, Start, Trial

SLACK = 1.15  # a training takes up to so much longer than it took so far
PATIENCE, GRACE_S = 10.0, 30.0  # a slice may take so many times what is expected, or this long
# Of the time left, for a slice of which nothing is known and that is no more than this share of a
# training; a larger one may take its own share, and a whole training all that is left. Where time
# is not limited, a slice of this share may take so long.
FIRST_SHARE, FIRST_S = 0.25, 3600.0


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


def must_go_on(history: History, *, left_s: float, block: int) -> Resume | None:
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
            return Resume(number, min(history.horizon, history.trials[number].at + block))
    return None


def _must_finish(history: History) -> list[int]:
    """Numbers of the trials that have to be finished: the defaults, and the best."""
    wanted = [n for n in (0, best_trial(history)) if n is not None and n < len(history.trials)]
    return [
        number
        for number in dict.fromkeys(wanted)
        if history.trials[number].failed is None and history.trials[number].at < history.horizon
    ]


def kept_s(history: History, decision: Start | Resume) -> float:
    """Seconds that a slice must not take, even if it hangs: kept for what has to be finished.

    None where the slice is of such a trial itself, and none for one that trains now: its own worker
    goes on with it.
    """
    must = _must_finish(history)
    if isinstance(decision, Resume) and decision.trial in must:
        return 0.0
    waiting = [history.trials[number] for number in must if number in history.paused()]
    return sum(remaining_s(trial, history.horizon) for trial in waiting)


def expected_s(history: History, decision: Start | Resume) -> float:
    """Seconds that a slice probably takes; 0 if nothing was measured yet."""
    measured = [trial for trial in history.trials if trial.at]
    begin = 0
    if isinstance(decision, Resume) and history.trials[decision.trial].at:
        measured = [history.trials[decision.trial]]
        begin = measured[0].at
    units = sum(trial.at for trial in measured)
    return (decision.until - begin) * sum(t.seconds for t in measured) / max(1, units)


def share_of(history: History, decision: Start | Resume) -> float:
    """Share of a whole training that a slice is.

    Example:
        >>> share_of(History(horizon=20), Start(5))
        0.25

    """
    begin = history.trials[decision.trial].at if isinstance(decision, Resume) else 0
    return (decision.until - begin) / history.horizon


def patience_s(expected: float, left_s: float, *, share: float) -> float:
    """Seconds after which a slice hangs, by all that is known of it.

    Args:
        expected: Seconds that it probably takes; 0 if nothing was measured yet.
        left_s: Seconds that are left for it.
        share: Of a whole training, that it is.

    Example:
        >>> patience_s(10.0, 1000.0, share=0.04), patience_s(1.0, 1000.0, share=0.04)
        (100.0, 30.0)
        >>> patience_s(0.0, 1000.0, share=0.04), patience_s(0.0, 1000.0, share=1.0)
        (250.0, 1000.0)
        >>> patience_s(0.0, math.inf, share=0.04), patience_s(0.0, math.inf, share=1.0)
        (3600.0, 14400.0)

    """
    if expected:
        return max(GRACE_S, PATIENCE * expected)
    share = max(FIRST_SHARE, share)
    if math.isinf(left_s):
        return FIRST_S * share / FIRST_SHARE
    return max(GRACE_S, share * left_s)
