"""Tests of `tunesmith.execution.signals`."""

import os
import signal
import threading

import pytest

from tunesmith.execution.signals import catch_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: int) -> None:
    interrupted = threading.Event()
    before = signal.getsignal(number)

    def signal_twice() -> None:
        with catch_signals(interrupted):
            os.kill(os.getpid(), number)
            assert interrupted.wait(1)
            os.kill(os.getpid(), number)
            threading.Event().wait(1)

    with pytest.raises(KeyboardInterrupt):
        signal_twice()
    assert signal.getsignal(number) is before


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with catch_signals(threading.Event()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
