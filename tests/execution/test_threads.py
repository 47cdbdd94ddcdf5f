"""Tests of `tunesmith.execution.threads`."""

import pytest

from tunesmith.execution.threads import AGAIN_S, Threads, share_of


def test_alone_nothing_is_tried() -> None:
    threads = Threads(cores=4, now=4)
    for at_s in range(100):
        threads = threads.after(1000.0, share=0.95, at_s=float(at_s))
    assert (threads.now, threads.tried) == (4, None)


@pytest.mark.parametrize(("rate", "now"), [(400.0, 2), (90.0, 4)])
def test_beside_others_the_faster_number_goes_on(rate: float, now: int) -> None:
    threads = Threads(cores=4, now=4).after(100.0, share=0.5, at_s=0)
    assert (threads.now, threads.tried) == (2, 4)
    assert threads.after(rate, share=0.9, at_s=1).now == now


def test_fewer_and_fewer_are_tried_while_they_do_not_get_the_cores() -> None:
    threads = Threads(cores=8, now=8)
    for step, share in enumerate([0.3, 0.4, 0.4, 0.5, 0.5, 0.97, 0.97]):
        threads = threads.after(100.0 * 8 / threads.now, share=share, at_s=float(step))
    assert threads.now == 1


def test_more_are_tried_again_after_a_while_and_kept_if_others_are_gone() -> None:
    threads = Threads(cores=2, now=2).after(100.0, share=0.5, at_s=0).after(400, share=0.9, at_s=1)
    assert threads.now == 1
    early = threads.after(400.0, share=0.9, at_s=AGAIN_S - 1)
    assert early.now == 1
    late = early.after(400.0, share=0.9, at_s=AGAIN_S)
    assert (late.now, late.tried) == (2, 1)
    assert late.after(120.0, share=0.5, at_s=AGAIN_S + 1).now == 1
    assert late.after(800.0, share=1.0, at_s=AGAIN_S + 1).now == 2


def test_one_core_leaves_no_choice() -> None:
    threads = Threads(cores=1, now=1).after(100.0, share=0.1, at_s=0)
    assert (threads.now, threads.tried) == (1, None)


def test_a_share_is_of_the_threads_own_time() -> None:
    assert share_of(4.0, 2.0, 2) == 1.0
    assert share_of(1.0, 0.0, 2) > 0
