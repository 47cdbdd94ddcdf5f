"""Whether the trials that failed are to blame for it."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from tunesmith.core.errors import SettingsError
from tunesmith.core.words import counted
from tunesmith.tuning.protocols import History

FAILURES = 3  # first trials that fail alike, after which the fault is not theirs
FAILURES_MOST = 10  # trials that fail, for whatever reasons, while none has a value
TOLD = 3  # reasons
# In a word that says which number, place in memory, file or address on a network it was: that
# differs between trials that fail for one reason.
VARYING = re.compile(r"[\d/\\@]")


def check_failures(history: History, where: Path) -> None:
    """Look whether the trials failed for what is not their fault.

    Args:
        history: The trials.
        where: A file that says more of the last failure.

    Raises:
        SettingsError: Nothing was measured, and the first trials failed for one reason (but for
            numbers and addresses in it), or many trials for several.
    """
    if any(trial.curve and trial.failed is None for trial in history.trials):
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


def outage(reasons: Collection[str], where: Path) -> SettingsError:
    """What to raise where nothing works any more.

    Args:
        reasons: Why trials that had trained failed, each of them twice in the same place.
        where: A file that says more of the last failure.
    """
    return SettingsError(
        f"{counted(len(reasons), 'trial')} that had trained failed twice in the same place, and "
        f"now a slice fails that had worked before, so the search was stopped: {told(reasons)} "
        f"What was trained is kept. Mend the cause ({where} says where it happened), and run the "
        "same command again: it goes on."
    )


def told(reasons: Iterable[str]) -> str:
    """Tell some reasons, each once.

    Example:
        >>> told(["No device 1.", "No disk.", "No device 2."])
        'No device 1; No disk.'

    """
    distinct = [reason.rstrip(".") for reason in _distinct(reasons)]
    more = [counted(len(distinct) - TOLD, "more reason")] if len(distinct) > TOLD else []
    return "; ".join((*distinct[:TOLD], *more)) + "."


def _distinct(reasons: Iterable[str]) -> list[str]:
    """Reasons without those that say what one before says, but for numbers and addresses."""
    found: dict[str, str] = {}
    for reason in reasons:
        words = " ".join(word for word in reason.split() if not VARYING.search(word))
        found.setdefault(words, reason)
    return [*found.values()]
