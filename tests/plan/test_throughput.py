"""Tests of `tunesmith.plan.throughput`."""

import pytest

from .conftest import speed


@pytest.mark.parametrize(("trained", "answered"), [(100.0, 300.0), (5000.0, 5000.0)])
def test_a_device_answers_as_fast_as_it_trains_at_least(trained: float, answered: float) -> None:
    """Answers were timed on the CPU, and training perhaps beside it."""
    measured = speed(8, trained).model_copy(update={"answers_per_s": 300.0})
    assert measured.device_answers_per_s == answered
