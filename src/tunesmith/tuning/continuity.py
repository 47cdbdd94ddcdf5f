"""Check that a user's function resumes from its folder, instead of starting over each time.

If it started over, a search in slices would mean nothing, and nobody would notice.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from tunesmith.core.errors import SettingsError
from tunesmith.records.history import History as Past
from tunesmith.records.history import TrialHistory
from tunesmith.tuning.folders import at_unit, is_empty, is_gone
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.unread import is_marked

SECOND = 2  # slices of a trial after which it may be compared with itself
MOST = 50  # resumed trials that are looked at, each time: with more, all was seen long before
ENOUGH = 5  # resumed trials whose values are needed for a verdict
ENOUGH_UNREAD = 2  # resumed trials that read nothing
ALIKE = 0.2  # of the way from a trial's first value to that at its pause


def check_left(folder: Path, function: str) -> None:
    """Check that a slice left something to go on from. If not, it must not be recorded.

    Args:
        folder: Working folder of the slice.
        function: Reference to the user's function; see `load_function`.

    Raises:
        SettingsError: It left nothing.
    """
    if is_gone(folder) or is_empty(folder):
        raise _error(function, "left nothing in its folder")


def look_at_slices(history: History, past: Past, number: int, folder: Path, function: str) -> str:
    """Check that slices build on each other: what they show, second slices alone can change.

    Args:
        history: The trials.
        past: Journal history of the same trials, with their slices.
        number: Number of the trial that was trained last.
        folder: Folder that its last slice left.
        function: Reference to the user's function; see `load_function`.

    Returns:
        A warning for the user; empty if there is none.

    Raises:
        SettingsError: Slices do not build on each other.
    """
    ends = dict[int, tuple[int, ...]]()
    if len(past.trials[str(number)].slices) == SECOND:
        trials = ((int(n), trial) for n, trial in past.trials.items())
        resumed = (each for each in trials if len(each[1].slices) >= SECOND)
        ends = {number: _ends(trial) for number, trial in islice(resumed, MOST)}
    if is_ignored(folder, ends):
        raise _error(function, "reads nothing of what it left in its folder")
    if begins_anew(history, ends):
        found = "does not go on from what it left in its folder (its curves begin anew)"
        raise _error(function, found)
    name = function.rpartition(":")[2]
    doubt = f"Every trial of `{name}` gave the same value twice. Does it go on from its folder?"
    return doubt if stands_still(history, ends) else ""


def _error(function: str, found: str) -> SettingsError:
    """Make the error to raise if slices do not build on each other."""
    return SettingsError(
        f"`{function.rpartition(':')[2]}` {found}, so it cannot be trained in slices. Write its "
        "state to `folder`, and read it from there where `start` is over 0; or pass --scheduler "
        "none."
    )


def is_ignored(folder: Path, slices: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether no resumed trial read anything of what it had left.

    Args:
        folder: Folder of a trial, after a slice.
        slices: Units at which the slices of each trial ended, by its number.
    """
    resumed = [number for number, ends in slices.items() if len(ends) >= SECOND]
    root = folder.parents[1]
    return len(resumed) >= ENOUGH_UNREAD and all(
        is_marked(at_unit(root, number, 0)) for number in resumed
    )


def begins_anew(history: History, slices: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether every resumed trial was back at its first value, after it had improved.

    Args:
        history: The trials.
        slices: Units at which the slices of each trial ended, by its number.
    """
    return _is_seen(history, slices, least=2)


def stands_still(history: History, slices: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether every resumed trial with one value per slice repeated its first value exactly.

    A function that starts over does so, but also one that has nothing left to learn.

    Args:
        history: The trials.
        slices: Units at which the slices of each trial ended, by its number.
    """
    return _is_seen(history, slices, least=1)


def _is_seen(history: History, slices: Mapping[int, tuple[int, ...]], *, least: int) -> bool:
    """Whether enough trials have ``least`` values per slice, and all repeat their first slice."""
    firsts = set()
    for number, ends in slices.items():
        trial = history.trials[number]
        if len(ends) < SECOND or (least == 1 and trial.curve[0].at < ends[0]):
            continue  # the latter nearly always: it gives several values per slice
        first, second = (_values(trial, *span) for span in ((0, ends[0]), ends[:SECOND]))
        if min(len(first), len(second), 2) == least:
            if not (_saws(first, second) if least > 1 else first[-1] == second[-1]):
                return False
            firsts.add(first[0])
    # Trials that all have one value, such as that of guessing, prove nothing.
    return len(firsts) >= ENOUGH


def _ends(trial: TrialHistory) -> tuple[int, ...]:
    """Units at which a trial's first slices ended, as many as are compared."""
    return tuple(done.end for done in trial.slices[:SECOND])


def _values(trial: Trial, after: int, until: int) -> list[float]:
    return [o.value for o in trial.curve if after < o.at <= until]


def _saws(first: list[float], second: list[float]) -> bool:
    """Whether a curve fell, and was back at its top after the trial was resumed."""
    way = first[0] - first[-1]
    return way > 0 and abs(second[0] - first[0]) <= ALIKE * way
