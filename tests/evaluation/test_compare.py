"""Tests of `tunesmith.evaluation.compare`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from tunesmith.evaluation.compare import is_better, mcnemar


def answers(both: int, first: int, second: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether two models are right, by how often both are and only one is."""
    one = np.array([True] * (both + first) + [False] * second, bool)
    other = np.array([True] * both + [False] * first + [True] * second, bool)
    return one, other


@given(st.integers(0, 500), st.integers(0, 60), st.integers(0, 60))
def test_it_is_the_exact_sign_test_on_what_tells_anything(both: int, won: int, lost: int) -> None:
    one, other = answers(both, won, lost)
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(one, other) == pytest.approx(expected)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_large_counts_do_not_overflow() -> None:
    one, other = answers(10, 3000, 2000)
    assert 0.0 <= mcnemar(one, other) < 1e-30


def test_better_means_more_often_right_by_more_than_chance() -> None:
    assert is_better(*answers(100, 20, 5))
    assert not is_better(*answers(100, 5, 20))
    assert not is_better(*answers(100, 8, 5))


def test_under_equal_models_it_is_seldom_sure() -> None:
    chance = np.random.default_rng(0)
    sure = 0
    for _ in range(400):
        one, other = chance.random((2, 300)) < 0.9
        sure += mcnemar(one, other) < 0.05
    assert sure / 400 < 0.05
