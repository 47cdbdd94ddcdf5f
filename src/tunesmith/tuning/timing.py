"""Expected times of slices, and the time that is kept to finish trial 0 and the best one."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tunesmith.records.events import SliceDone
from tunesmith.tuning.protocols import History, Resume, Start, Trial

SLACK = 1.15  # a trial's remaining training may be so much slower than `Trial.unit_s` says
HICCUP_S = 0.3  # seconds that a busy machine may take from any training, however short
PATIENCE, GRACE_S = 10.0, 30.0  # a slice may take so many times its expected seconds, or GRACE_S
PREPARING = 3.0  # or so many times what a process may take to prepare, which may be slower there
# Share of the time left for a slice without an estimate; one that is a larger share of a training
# may take that share, and a full training all the time left. Without a time limit, FIRST_S seconds
# for a slice of FIRST_SHARE.
FIRST_SHARE, FIRST_S = 0.25, 3600.0


def remaining_s(trial: Trial, horizon: int, *, beside_s: float = 0.0) -> float:
    """Expected seconds that a trial still needs; 0 if it was never measured.

    Args:
        trial: The trial.
        horizon: Units of a full training.
        beside_s: Seconds that a unit takes beside its training.
    """
    each_s = trial.unit_s + beside_s if trial.at else 0.0
    return each_s * (horizon - trial.at) * SLACK


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Time until trainings are done, one after the other by whichever worker is free first.

    Example:
        >>> [makespan([1.0, 1.0, 3.0, 3.0], workers) for workers in (1, 2, 3, 4)]
        [8.0, 4.0, 4.0, 3.0]

    """
    busy = [0.0] * workers
    for each_s in seconds:
        busy[busy.index(min(busy))] += each_s
    return max(busy)


def ranked(
    history: History, *, first: int = 0, least: int = 0, may_have_failed: bool = True
) -> list[int]:
    """Numbers of the trials that may be the result, by their last values, the best first.

    Only the state after a trial's last slice is left, so an earlier, better value does not count.
    Trials whose folder was removed do not count either.

    Args:
        history: The trials.
        first: Number of the first trial that counts.
        least: Units of training that a trial needs to count.
        may_have_failed: Whether trials count that failed after their last slice: what they left is
            as good as ever, but their training cannot be done again, or go on.
    """
    table = history.table
    is_sound_N = np.isfinite(table.last_N) & (table.at_N >= least) & (table.is_dropped_N == 0)
    if not may_have_failed:
        is_sound_N &= table.is_failed_N == 0
    is_sound_N[:first] = False
    sound_N = np.flatnonzero(is_sound_N)
    return [*sound_N[np.argsort(table.last_N[sound_N], kind="stable")].tolist()]


def best_trial(
    history: History, *, first: int = 0, least: int = 0, may_have_failed: bool = True
) -> int | None:
    """Number of the trial that would be the result; None if there is none. See `ranked`."""
    numbers = ranked(history, first=first, least=least, may_have_failed=may_have_failed)
    return numbers[0] if numbers else None


def must_go_on(
    history: History, *, left_s: float, block: int, beside_s: float = 0.0
) -> Resume | None:
    """Return what must train now, because there is just enough time left to finish it.

    Trial 0, the defaults, comes first, so that a search never ends with something worse. The best
    trial comes next, so that the result is fully trained.

    Args:
        history: The trials.
        left_s: Seconds left of the budget.
        block: Units per slice.
        beside_s: Seconds that a unit takes beside its training.

    Returns:
        The slice; None while there is time for other trials as well.
    """
    must = _must_finish(history)
    longest_s = history.table.unit_s_N.max(initial=0.0) + beside_s
    trials = [history.trials[number] for number in must]
    needed_s = sum(remaining_s(trial, history.horizon, beside_s=beside_s) for trial in trials)
    # One more block must be left, or the next decision would come too late.
    if left_s > needed_s + longest_s * block + HICCUP_S:
        return None
    for number in must:
        if number in history.paused():
            return Resume(number, min(history.horizon, history.trials[number].at + block))
    return None


def _must_finish(history: History) -> list[int]:
    """Numbers of the trials that have to be finished: the defaults, and the best one."""
    best = best_trial(history, may_have_failed=False)
    wanted = [n for n in (0, best) if n is not None and n < len(history.trials)]
    return [
        number
        for number in dict.fromkeys(wanted)
        if history.trials[number].failed is None and history.trials[number].at < history.horizon
    ]


def kept_s(history: History, decision: Start | Resume, *, beside_s: float = 0.0) -> float:
    """Seconds to keep for trials that have to be finished, even if a slice hangs.

    It is 0 for a slice of such a trial. A trial that is running needs none, since its own worker
    continues it.
    """
    must = _must_finish(history)
    if isinstance(decision, Resume) and decision.trial in must:
        return 0.0
    waiting = [history.trials[number] for number in must if number in history.paused()]
    return sum(remaining_s(trial, history.horizon, beside_s=beside_s) for trial in waiting)


def expected_s(history: History, decision: Start | Resume, seconds: Sequence[float]) -> float:
    """Expected seconds of a slice; 0 if nothing was measured yet.

    Args:
        history: The trials.
        decision: The slice.
        seconds: Seconds that each trial took, also where its cost is counted in units.
    """
    if isinstance(decision, Resume) and (at := history.trials[decision.trial].at):
        return (decision.until - at) * seconds[decision.trial] / at
    return decision.until * sum(seconds) / max(1, int(history.table.at_N.sum()))


def without_longer(
    history: History, decision: Start | Resume, seconds: Sequence[float], *, left_s: float
) -> History:
    """Leave out paused trials of which a slice of as many units takes more than the time left.

    Args:
        history: The trials.
        decision: A slice that does.
        seconds: See `expected_s`.
        left_s: Seconds left.
    """
    units = decision.until - _begin(history, decision)
    for number in history.paused():
        until = min(history.horizon, history.trials[number].at + units)
        if expected_s(history, Resume(number, until), seconds) > left_s:
            history = history.dropped(number)
    return history


def share_of(history: History, decision: Start | Resume) -> float:
    """Size of a slice, as a share of a full training.

    Example:
        >>> share_of(History(horizon=20), Start(5))
        0.25

    """
    return (decision.until - _begin(history, decision)) / history.horizon


def _begin(history: History, decision: Start | Resume) -> int:
    """Units before a slice."""
    return history.trials[decision.trial].at if isinstance(decision, Resume) else 0


def preparing_s(slices: Iterable[SliceDone]) -> float:
    """Seconds that a function may take to prepare, such as to read data, once in each process.

    It is not known which slices were the first ones of a process. So it is the most that a slice
    took beyond what its units take at the fastest rate of all.

    Example:
        >>> first, second = (
        ...     SliceDone(trial="0", begin=n, end=n + 1, seconds=s, checkpoint="", rows=())
        ...     for n, s in ((0, 46.0), (1, 1.0))
        ... )
        >>> preparing_s([first]), preparing_s([first, second])
        (0.0, 45.0)

    """
    taken = [(done.end - done.begin, done.seconds) for done in slices]
    fastest = min((seconds / units for units, seconds in taken), default=0.0)
    return max((seconds - units * fastest for units, seconds in taken), default=0.0)


def patience_s(expected: float, left_s: float, *, share: float, preparing: float = 0.0) -> float:
    """Seconds after which a slice is taken to hang.

    Args:
        expected: Expected seconds of the slice; 0 if nothing was measured yet.
        left_s: Seconds that are left for it.
        share: Size of the slice, as a share of a full training.
        preparing: See `preparing_s`: it may be the first slice of its process.

    Example:
        >>> patience_s(10.0, 1000.0, share=0.04), patience_s(1.0, 1000.0, share=0.04)
        (100.0, 30.0)
        >>> patience_s(1.0, 1000.0, share=0.04, preparing=45.0)
        135.0
        >>> patience_s(0.0, 1000.0, share=0.04), patience_s(0.0, 1000.0, share=1.0)
        (250.0, 1000.0)
        >>> patience_s(0.0, math.inf, share=0.04), patience_s(0.0, math.inf, share=1.0)
        (3600.0, 14400.0)

    """
    if expected:
        return max(GRACE_S, PATIENCE * expected, PREPARING * preparing)
    share = max(FIRST_SHARE, share)
    if math.isinf(left_s):
        return FIRST_S * share / FIRST_SHARE
    return max(GRACE_S, share * left_s)
