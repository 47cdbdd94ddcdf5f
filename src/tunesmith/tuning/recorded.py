"""From the journal of a run to the history that the tuner decides by."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from tunesmith.records.events import SliceDone
from tunesmith.records.history import History as Past
from tunesmith.tuning.protocols import History, Observation, Trial

LARGEST = 1e100  # of larger values, differences and squares would overflow
ROWS = 100  # most values of a slice that are kept
NOT_FINITE = "It gave a value that is not finite."
DROPPED = "It was given up to make room: trials' folders together took more disk than they may."


def are_finite(curve: Iterable[Observation]) -> bool:
    """Whether all values of a curve are finite."""
    return all(math.isfinite(point.value) for point in curve)


def points(done: SliceDone, *, sign: int) -> tuple[Observation, ...]:
    """Return what a slice measured, with values such that lower is better.

    Finite values beyond `LARGEST`, such as a penalty as large as can be, count as that.

    Args:
        done: The slice; each row has ``at`` and ``value``, as the user's function gave it.
        sign: 1 if it is to be minimized, -1 if maximized.
    """
    return tuple(
        Observation(at=int(row["at"]), value=sign * _bounded(row["value"])) for row in done.rows
    )


def _bounded(value: float) -> float:
    """Bound a value, unless it is not finite: then its trial has failed."""
    return max(-LARGEST, min(LARGEST, value)) if math.isfinite(value) else value


def as_rows(values: list[float], start: int, until: int) -> tuple[Mapping[str, float], ...]:
    """Make rows for values at even steps from one unit to another.

    Of many values, only some at even steps are kept, the last one among them: a search keeps all
    rows in memory. Values that are not finite are kept in any case.

    Example:
        >>> [row["at"] for row in as_rows([0.3, 0.2, 0.1], 10, 20)]
        [13, 17, 20]

    """
    count = len(values)
    step = math.ceil(count / ROWS)
    return tuple(
        {"at": start + round((until - start) * n / count), "value": value}
        for n, value in enumerate(values, start=1)
        if (count - n) % step == 0 or not math.isfinite(value)
    )


def none_trained(past: Past) -> bool:
    """Whether trials have ended, and none of them had trained anything.

    Others may have been running: a search whose first trials fail alike does not wait for them.
    """
    trials = past.trials.values()
    return any(t.ended is not None for t in trials) and not any(t.slices for t in trials)


def recall(past: Past, *, horizon: int, sign: int, is_timed: bool) -> History:
    """Restore the trials from the journal; those that were running when it ended are paused.

    Args:
        past: History in the journal.
        horizon: Units of a full training.
        sign: 1 if values are to be minimized, -1 if maximized.
        is_timed: Whether the cost of training is the seconds it took; else it is one second per
            unit.
    """
    trials = []
    for trial in past.trials.values():
        curve = tuple(point for done in trial.slices for point in points(done, sign=sign))
        seconds = trial.seconds if is_timed else float(trial.seen)
        latest_s = trial.latest_s if is_timed else float(bool(trial.slices))
        # A crash may have come between a slice and the failure that follows from it.
        failed = trial.ended if are_finite(curve) else NOT_FINITE
        is_dropped = failed == DROPPED
        config = trial.config or {}
        trials.append(
            Trial(
                config=config,
                curve=curve,
                seconds=seconds,
                latest_s=latest_s,
                failed=None if is_dropped else failed,
                failure=trial.failure,
                is_dropped=is_dropped,
            )
        )
    return History(horizon=horizon, trials=tuple(trials))


def resumptions(past: Past) -> dict[int, tuple[int, ...]]:
    """Find where trials were paused, and resumed after slices of others.

    A trial that trained on at once counts as never paused, whatever other workers did meanwhile.

    Args:
        past: History in the journal.

    Returns:
        Units of training, by the number of each trial that was resumed.
    """
    others_s = sorted(at for trial in past.trials.values() for at in trial.told_s)
    found = {}
    for number, trial in enumerate(past.trials.values()):
        pauses = zip(trial.slices[1:], pairwise(trial.told_s), strict=True)
        units = tuple(
            done.begin
            for done, (paused_s, told_s) in pauses
            if _is_within(others_s, paused_s, told_s - done.seconds)
        )
        if units:
            found[number] = units
    return found


def _is_within(times: Sequence[float], low: float, high: float) -> bool:
    """Whether one of some ordered times is later than one time, and not later than another."""
    return bisect_right(times, low) < bisect_right(times, high)
