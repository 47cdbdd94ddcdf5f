"""Decide whether failures are the fault of the trials, or have a common cause."""

import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import final

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.core.words import counted
from tunesmith.execution.executor import Failure, Outcome
from tunesmith.records.history import History as Past
from tunesmith.tuning.folders import ERROR
from tunesmith.tuning.protocols import History
from tunesmith.tuning.recorded import DROPPED, NOT_FINITE

FAILURES = 3  # equal failures of the first trials that prove a common cause
FAILURES_MOST = 10  # failed trials, for whatever reasons, if none has a value
TOLD = 3  # reasons to report
# Failures that may be for want of memory: not every library says so before its process ends.
SHORT: set[Failure] = {"memory", "killed", "ended"}
# In words with numbers, memory addresses, paths or network addresses: these differ between trials
# that fail for the same reason.
VARYING = re.compile(r"[\d/\\@]")


@final
class OutageError(SettingsError):
    """Nothing works any more that worked before; what was trained is kept.

    Args:
        found: What was found, in words.

    Attributes:
        found: The same. The message adds how the search goes on, where it is a job of its own.
    """

    def __init__(self, found: str) -> None:
        super().__init__(
            f"{found} What was trained is kept. Mend the cause, and run the same command again: it "
            "goes on."
        )
        self.found = found


def found_in(error: SettingsError) -> str:
    """Return what stopped a search, without how it goes on where it is a job of its own.

    Example:
        >>> found_in(OutageError("The disk is gone.")), found_in(SettingsError("Mend it."))
        ('The disk is gone.', 'Mend it.')

    """
    return error.found if isinstance(error, OutageError) else str(error)


@final
class ShortError(Exception):
    """A process may have had too little memory: with fewer processes, each would have more."""


def check_outcome(outcome: Outcome, *, ends_if_short: bool) -> None:
    """Raise an error for a failure that no trial is to blame for.

    Args:
        outcome: How a slice ended.
        ends_if_short: Whether want of memory is such a failure.

    Raises:
        CodeChangedError: The user's function was changed meanwhile.
        ShortError: A process may have had too little memory.
    """
    reason = str(outcome.failed)
    if outcome.failure == "changed":
        raise CodeChangedError(reason)
    if ends_if_short and outcome.failure in SHORT:
        raise ShortError(reason)


def check_failures(history: History, where: Path) -> None:
    """Raise an error if the trials failed for a common cause.

    Args:
        history: The trials.
        where: File with details of the last failure.

    Raises:
        SettingsError: Nothing was measured, and the first trials failed for the same reason (apart
            from numbers and addresses in it), or many trials for several reasons.
    """
    if any(math.isfinite(trial.last) for trial in history.trials):
        return
    first = [trial.failed for trial in history.trials[:FAILURES] if trial.failed is not None]
    if len(first) == FAILURES and len(_distinct(first)) == 1:
        raise SettingsError(
            f"The first {FAILURES} trials failed for one reason, so the search was stopped: "
            f"{first[-1]} Mend it; {where} says where it happened."
        )
    reasons = [trial.failed for trial in history.trials if trial.failed is not None]
    if len(reasons) >= FAILURES_MOST:
        raise SettingsError(
            f"{len(reasons)} trials failed and none has a value, so the search was stopped: "
            f"{told(reasons)} Mend that, or narrow the space; {where} says where the last failure "
            "happened."
        )


def outage(reasons: Collection[str], where: Path) -> OutageError:
    """Make the error to raise if nothing works any more.

    Args:
        reasons: Reasons of the trials that failed since a slice worked.
        where: File with details of the last failure.
    """
    return OutageError(
        f"{counted(len(reasons), 'trial')} failed, and now a slice fails that had worked before, "
        f"so the search was stopped: {told(reasons)} {where} says where it happened."
    )


def failed_in_one_place(past: Past) -> list[str]:
    """Names of the trials that had trained, if all failed after as many units, for one reason.

    That is rather the function's fault than theirs, unless a value was not finite.
    """
    trained = {name: trial for name, trial in past.trials.items() if trial.slices}
    places = {(trial.seen, trial.ended is None) for trial in trained.values()}
    reasons = _distinct(trial.ended or "" for trial in trained.values())
    if len(places) != 1 or len(reasons) != 1 or reasons[0] in ("", NOT_FINITE, DROPPED):
        return []
    return [*trained]


def common_place(past: Past, where: Path) -> str:
    """Say it if all trials that had trained failed in one place; empty if they did not.

    Args:
        past: Journal history of the trials.
        where: Folder of all trial folders.
    """
    names = failed_in_one_place(past)
    if not names:
        return ""
    last = past.trials[names[-1]]
    each = "The trial" if len(names) == 1 else f"Each of the {len(names)} trials"
    return (
        f"{each} that had trained failed after {counted(last.seen, 'unit')}: "
        f"{told([last.ended or ''])} "
        f"{where / '*' / ERROR} say where it happened. What was trained is kept."
    )


def told(reasons: Iterable[str]) -> str:
    """Join some reasons, without repetitions.

    Example:
        >>> told(["No device 1.", "No disk.", "No device 2."])
        'No device 1; No disk.'

    """
    distinct = [reason.rstrip(".") for reason in _distinct(reasons)]
    more = [counted(len(distinct) - TOLD, "more reason")] if len(distinct) > TOLD else []
    return "; ".join((*distinct[:TOLD], *more)) + "."


def _distinct(reasons: Iterable[str]) -> list[str]:
    """Drop reasons that repeat an earlier one, apart from numbers and addresses."""
    found: dict[str, str] = {}
    for reason in reasons:
        words = " ".join(word for word in reason.split() if not VARYING.search(word))
        found.setdefault(words, reason)
    return [*found.values()]
