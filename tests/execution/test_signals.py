"""Tests of `tunesmith.execution.signals`."""

import os
import signal
import threading

import pytest

from tunesmith.execution.signals import FINISHING, catch_signals, end_at_once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: int) -> None:
    interrupted = threading.Event()
    before = signal.getsignal(number)

    def signal_twice() -> None:
        with catch_signals(interrupted):
            os.kill(os.getpid(), number)
            assert interrupted.wait(60)
            os.kill(os.getpid(), number)
            threading.Event().wait(60)

    with pytest.raises(KeyboardInterrupt):
        signal_twice()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("signals", [0, 1])
def test_that_a_signal_was_heard_is_said_once(signals: int) -> None:
    said: list[str] = []
    interrupted = threading.Event()
    with catch_signals(interrupted, say=said.append):
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupted.wait(60)
    assert said == [FINISHING] * signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_nothing_is_to_be_finished_the_first_signal_ends(number: int) -> None:
    interrupted = threading.Event()

    def signal_once() -> None:
        with catch_signals(interrupted), end_at_once("Nothing is lost."):
            os.kill(os.getpid(), number)
            threading.Event().wait(60)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=r"Nothing is lost\."):
        signal_once()
    assert signal.getsignal(number) is before
    assert not interrupted.is_set()


def test_where_there_is_something_a_signal_asks_as_ever() -> None:
    interrupted = threading.Event()
    with catch_signals(interrupted):
        with end_at_once("", unless=True):
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupted.wait(60)
        with end_at_once(""):
            pass
        assert interrupted.is_set()


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with catch_signals(threading.Event()), end_at_once(""):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
