"""Ctrl-C and SIGTERM as a request, not an end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def catch_signals(interrupted: threading.Event) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a request to finish; the second one ends at once.

    Signals reach the main thread only; elsewhere (in a notebook's worker, say) this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        interrupted.set()

    before = {s: signal.signal(s, on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
