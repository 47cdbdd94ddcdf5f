"""Import what a user wrote in this process, but not for ever."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function, load_function
from tunesmith.core.words import duration
from tunesmith.execution.processes import LOADING_S

LEAST_S = 60.0  # seconds that it may take, however little is left of the budget
NOTICE_S = 10.0  # seconds after which the user is told what is waited for
AGAIN_S = 1.0  # seconds after which an import that caught the end of its time is ended again


def limit_of(left_s: float) -> float:
    """Seconds that an import may take: what is left of the budget, within limits.

    Example:
        >>> limit_of(1.0), limit_of(120.0), limit_of(float("inf"))
        (60.0, 120.0, 300.0)

    """
    return min(LOADING_S, max(LEAST_S, left_s))


@final
class _Late(BaseException):
    """Ends an import; no Exception, which code that is imported may catch."""


@contextmanager
def importing(
    place: str, limit_s: float, *, quiet: bool = False, notice_s: float = NOTICE_S
) -> Iterator[None]:
    """Limit the time of a block that imports a user's file or module.

    Only the main thread can be ended, and not on Windows. Elsewhere the user is only told.

    Args:
        place: The file or module.
        limit_s: Seconds that the block may take.
        quiet: Whether to tell nothing on standard error.
        notice_s: Seconds after which it is told there that the import takes long.

    Raises:
        SettingsError: The import takes too long.
    """
    text = f"Importing {place} takes long; Ctrl-C ends it."
    notice = threading.Timer(notice_s, print, [text], {"file": sys.stderr, "flush": True})
    notice.daemon = True
    if not quiet:
        notice.start()
    try:
        with _alarm(limit_s):
            yield
    except _Late:
        raise SettingsError(
            f"Importing {place} must be over within {duration(limit_s)}, but it was not. Keep at "
            "the top of the file only what defines the function, and do the work inside of it."
        ) from None
    finally:
        notice.cancel()


def load_within(function: str, left_s: float, *, quiet: bool) -> Function:
    """Import a function as `load_function` does, within a limit.

    Args:
        function: Reference to the function; see `load_function`.
        left_s: Seconds that are left of the budget.
        quiet: See `importing`.

    Raises:
        SettingsError: See `load_function`; or the import takes too long.
    """
    with importing(function.rpartition(":")[0], limit_of(left_s), quiet=quiet):
        return load_function(function)


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    """Raise `_Late` in the main thread once a block has taken too long."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, limit_s), AGAIN_S)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
