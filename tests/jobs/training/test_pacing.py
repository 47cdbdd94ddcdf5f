"""Tests of `tunesmith.jobs.training.pacing`."""

from collections.abc import Iterator

import pytest
import torch

from tunesmith.core.clock import Clock
from tunesmith.execution.threads import Threads
from tunesmith.jobs.training.pacing import Pacing


@pytest.fixture
def clock() -> Iterator[Clock]:
    """One that is a second ahead at each look: the processor's share is next to nothing."""
    before, now = torch.get_num_threads(), iter(range(10**9))
    torch.set_num_threads(2)
    yield Clock(budget=1000, now=lambda: float(next(now)))
    torch.set_num_threads(before)


def test_a_starved_training_tries_fewer_threads_for_a_moment(clock: Clock) -> None:
    pacing = Pacing(clock=clock, is_fixed=False, threads=Threads(cores=2, now=2))
    for examples in (1000, 1000):  # the first slice tells nothing
        assert torch.get_num_threads() == 2
        pacing.begin()
        assert not pacing.is_over()
        pacing.end(examples)
    assert pacing.changed
    assert torch.get_num_threads() == 1
    pacing.begin()
    assert not pacing.is_over()  # one batch is trained, however long it took to get there
    assert pacing.is_over()
    pacing.end(5000)
    assert pacing.threads.tried is None
    assert torch.get_num_threads() == 1


def test_threads_stay_while_compiled_code_depends_on_them(clock: Clock) -> None:
    pacing = Pacing(clock=clock, is_fixed=False, threads=Threads(cores=2, now=2))
    found = []
    for adapts in (False, False, False, True, False):
        pacing.begin()
        pacing.end(1000, adapts=adapts)
        found.append((pacing.changed, pacing.is_steady))
    assert found == [*[(False, True)] * 3, (True, False), (False, False)]


def test_where_nothing_may_depend_on_speed_threads_stay(clock: Clock) -> None:
    pacing = Pacing(clock=clock, is_fixed=True, threads=Threads(cores=2, now=2))
    for _ in range(5):
        pacing.begin()
        pacing.end(1000)
    assert not pacing.changed
    assert pacing.is_steady
    assert pacing.took_s > 0
    assert torch.get_num_threads() == 2
