"""Tests of `tunesmith.core.seeds`."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.seeds import derive


@given(seed=st.integers(0, 2**63 - 1), position=st.integers(0, 2**40))
def test_seeds_fit_every_generator_and_differ_by_name(seed: int, position: int) -> None:
    value = derive(seed, "order", position)
    assert 0 <= value < 2**63
    assert value != derive(seed, "augment", position)
    assert value != derive(seed, "order", position + 1)


def test_seeds_never_change() -> None:
    assert derive(0, "order", 1) == 2961819992523135983
