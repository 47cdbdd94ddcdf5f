"""Whether the trials that failed are to blame for it."""

import re
from pathlib import Path

from tunesmith.core.errors import SettingsError
from tunesmith.tuning.protocols import History

FAILURES = 3  # first trials that fail alike, after which the fault is not theirs


def check_failures(history: History, where: Path) -> None:
    """Look whether the first trials all failed for one reason, but for the numbers in it.

    Args:
        history: The trials.
        where: A file that says more of the last failure.

    Raises:
        SettingsError: They did, and nothing was measured.
    """
    reasons = [trial.failed for trial in history.trials[:FAILURES] if trial.failed is not None]
    if len(reasons) < FAILURES or any(t.curve and t.failed is None for t in history.trials):
        return
    if len({re.sub(r"\d+", "", reason) for reason in reasons}) == 1:
        raise SettingsError(
            f"The first {FAILURES} trials failed for one reason, so the search was stopped: "
            f"{reasons[-1]} Mend it; {where} says where it happened."
        )
