"""Tests of `tunesmith.jobs.planning.threads`."""

import pytest
import torch

from tunesmith.execution.threads import ALONE
from tunesmith.jobs.planning.threads import with_fitting_threads
from tunesmith.plan import Speed


@pytest.mark.parametrize(("faster", "measured", "threads"), [(True, 2, 2), (False, 1, 4)])
def test_fewer_threads_are_tried_with_one_network_first(
    monkeypatch: pytest.MonkeyPatch, *, faster: bool, measured: int, threads: int
) -> None:
    """Where other processes slow all down, measuring all again would take long."""
    used, times = 4, 0
    slow = Speed(
        width=0,
        size=(8, 8),
        channels_last=True,
        share=ALONE / 2,
        images_per_s=10.0,
        answers_per_s=30.0,
        parameters=1,
        activation_bytes=1,
    )

    def use(count: int) -> None:
        nonlocal used
        used = count

    def once() -> list[Speed]:
        nonlocal times
        times += 1
        return [slow if times == 1 else slow.model_copy(update={"share": 1.0})]

    def again(speed: Speed) -> Speed:
        assert speed == slow
        return speed.model_copy(update={"images_per_s": 20.0 if faster else 5.0})

    monkeypatch.setattr(torch, "set_num_threads", use)
    monkeypatch.setattr(torch, "get_num_threads", lambda: used)
    with_fitting_threads(once, again)
    assert (times, used) == (measured, threads)
