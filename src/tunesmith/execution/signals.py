"""Handle Ctrl-C and SIGTERM as a request to finish."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

FINISHING = "Finishing with the best so far; once more ends at once."


@contextmanager
def catch_signals(
    interrupted: threading.Event, *, say: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a request to finish; the second one ends at once.

    Signals reach the main thread only; elsewhere (in a notebook's worker, say) this does nothing.

    Args:
        interrupted: Event that the first signal sets.
        say: Shows a message to the user.
    """
    heard = threading.Event()  # set by the first signal, or at the end of the block

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            _end(number)
        interrupted.set()
        heard.set()

    def tell() -> None:
        heard.wait()
        if interrupted.is_set():
            say(FINISHING)

    # In a thread of its own: a signal may come while the main thread is writing a line.
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        with _handled_by(on_signal):
            yield
    finally:
        heard.set()
        teller.join()


@contextmanager
def end_at_once(words: str, *, unless: bool = False) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end a block, since there is nothing to finish with yet.

    Args:
        words: Message of the KeyboardInterrupt that it raises.
        unless: There is something to finish with; then nothing is changed.
    """
    if unless:
        yield
        return
    with _handled_by(lambda number, _frame: _end(number, words)):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Install a handler for both signals, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _end(number: int, words: str = "") -> Never:
    """Interrupt the main thread; a further signal ends the process in any case."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt(words)
