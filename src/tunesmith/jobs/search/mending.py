"""What a search that an error stopped lets the user mend, and what it is charged for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tunesmith.core.clock import Clock
from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.jobs.search.tune_result import RESULT
from tunesmith.records.events import Stopped
from tunesmith.records.folder import let_differ
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.tuning.failures import OutageError
from tunesmith.tuning.own import OwnError

CODE = "function"  # in what identifies a search: a hash of the code that its function depends on


def charged_s(past: Past, journal: Journal, clock: Clock) -> float:
    """Seconds of the budget that are used up: a session that trains nothing, uses nothing.

    Else repeating the command of a finished search would use up the time of an extension.
    """
    return clock.elapsed() if journal.history.trials != past.trials else past.elapsed


@contextlib.contextmanager
def mendable(path: Path, past: Past, journal: Journal, clock: Clock) -> Iterator[None]:
    """Let the user mend what raised an error, and go on or start over in the same folder.

    Args:
        path: Folder of the search.
        past: Its history before this session.
        journal: Its journal.
        clock: Its clock.
    """
    try:
        yield
    except SettingsError as error:
        journal.append(Stopped(reason=str(error)), elapsed=charged_s(past, journal, clock))
        if isinstance(error, OwnError):
            let_differ(path, [error.kind, CODE])  # it may be in the file of the function
        elif isinstance(error, OutageError):
            let_differ(path, [CODE])
        elif not isinstance(error, CodeChangedError) and not (path / RESULT).exists():
            let_differ(path, [CODE, "scheduler"], starts_over=True)  # both may be the way out
        raise
