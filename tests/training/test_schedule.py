"""Tests of `tunesmith.training.schedule`."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.schedule import Segment, damp, multiplier, refit, rise, warmup_decay


@given(
    end=st.integers(10, 10_000),
    warmup=st.sampled_from([0.0, 0.1, 0.5]),
    at=st.floats(0.01, 0.99),
    factor=st.floats(0.3, 3.0),
)
def test_refitting_keeps_the_past_and_does_not_jump(
    end: int, warmup: float, at: float, factor: float
) -> None:
    plan = warmup_decay(end, warmup=warmup)
    seen = max(1, int(at * end))
    changed = refit(plan, seen=seen, end=max(seen + 1, int(seen + (end - seen) * factor)))
    for before in range(0, seen + 1, max(1, seen // 20)):
        assert multiplier(changed, before) == pytest.approx(multiplier(plan, before), abs=1e-9)
    assert multiplier(changed, changed[-1].end) == 0.0
    assert all(a.end == b.begin for a, b in itertools.pairwise(changed))


@given(end=st.integers(100, 10_000), at=st.floats(0.05, 0.95), factor=st.floats(0.1, 1.0))
def test_damping_scales_the_rest_only(end: int, at: float, factor: float) -> None:
    plan = warmup_decay(end, warmup=0.3)
    seen = int(at * end)
    damped = damp(plan, seen=seen, factor=factor)
    assert multiplier(damped, seen) == pytest.approx(factor * multiplier(plan, seen))
    assert multiplier(damped, seen // 2) == pytest.approx(multiplier(plan, seen // 2))
    assert multiplier(damped, (seen + end) // 2) == pytest.approx(
        factor * multiplier(plan, (seen + end) // 2)
    )


@pytest.mark.parametrize(("top", "peak"), [(120, 0.5), (100, 0.0), (300, 0.0)])
def test_a_rise_ends_at_zero(top: int, peak: float) -> None:
    longer = rise(warmup_decay(100, warmup=0.0), seen=100, top=top, end=300, peak=0.5)
    assert multiplier(longer, 100) == 0.0
    assert multiplier(longer, 120) == peak
    assert multiplier(longer, 300) == 0.0


def test_it_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match=r"0 <= begin < end"):
        Segment(begin=5, end=5, first=1.0, last=0.0)
    with pytest.raises(ValueError, match=r"No segment holds 11 examples"):
        multiplier(warmup_decay(10, warmup=0.0), 11)
    with pytest.raises(ValueError, match=r"`end` must be after `seen`, but got end=5, seen=5"):
        refit(warmup_decay(10, warmup=0.0), seen=5, end=5)
