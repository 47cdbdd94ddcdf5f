"""Tests of `tunesmith.evaluation.compare`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from tunesmith.evaluation.compare import advantage, compare, is_lower, mcnemar, optimism
from tunesmith.evaluation.metrics import METRICS


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


def of_accuracy(both: int, first: int, second: int) -> bool:
    """Whether the first of two models is better, by how often both are right and only one is."""
    one, other = answers(both, first, second)
    y_N = np.zeros(len(one), np.int64)
    return compare("accuracy", np.eye(2)[1 - one], np.eye(2)[1 - other], y_N).is_better


def test_better_means_more_often_right_by_more_than_chance() -> None:
    assert of_accuracy(100, 20, 5)
    assert not of_accuracy(100, 5, 20)
    assert not of_accuracy(100, 8, 5)


def test_it_is_the_metric_that_decides() -> None:
    """Of a rare class one recognizes much more, and gives some of the common one for it."""
    y_N = np.repeat([0, 1], [570, 30])
    usual, fair = np.zeros(600, np.int64), y_N.copy()
    fair[:40], fair[570:576] = 1, 0
    one_NK, other_NK = np.eye(2)[fair] * 0.8 + 0.1, np.eye(2)[usual] * 0.8 + 0.1
    assert compare("balanced_accuracy", one_NK, other_NK, y_N).is_better
    assert compare("macro_f1", one_NK, other_NK, y_N).is_better
    assert not compare("accuracy", one_NK, other_NK, y_N).is_better
    assert not compare("balanced_accuracy", other_NK, one_NK, y_N).is_better


@pytest.mark.parametrize("metric", ["balanced_accuracy", "log_loss", "roc_auc"])
def test_under_equal_models_no_metric_is_often_sure(metric: str) -> None:
    chance = np.random.default_rng(0)
    sure = 0
    for _ in range(60):
        y_N = chance.integers(0, 2, 120)
        one_NK, other_NK = chance.dirichlet([1, 1], (2, 120))
        sure += compare(metric, one_NK, other_NK, y_N).is_better
    assert sure <= 6  # 1.5 are expected


@pytest.mark.parametrize("metric", METRICS)
def test_an_advantage_is_greater_where_a_model_is_better_by_a_metric(metric: str) -> None:
    y_N = np.arange(120) % 3
    p_NK = np.eye(3)[y_N] * 0.6 + np.random.default_rng(0).dirichlet([1, 1, 1], 120) * 0.4
    assert advantage(metric, p_NK, p_NK[::-1], y_N) > 0
    compared = compare(metric, p_NK[::-1], p_NK, y_N)
    assert compared.gain == -advantage(metric, p_NK, p_NK[::-1], y_N)


def test_a_loss_is_lower_only_by_more_than_its_differences_vary() -> None:
    loss_N = np.random.default_rng(0).exponential(size=200)
    assert is_lower(loss_N - 0.001, loss_N)
    assert not is_lower(loss_N + 0.001, loss_N)
    assert not is_lower(np.random.default_rng(1).exponential(size=200), loss_N)


def test_the_best_of_several_has_to_be_lower_by_more() -> None:
    rng = np.random.default_rng(0)
    other_N = rng.random(400)
    loss_N = other_N - rng.normal(0.1, 1.0, 400)  # two standard errors
    assert is_lower(loss_N, other_N)
    assert not is_lower(loss_N, other_N, finalists=1000)


def test_under_equal_models_it_is_seldom_sure() -> None:
    chance = np.random.default_rng(0)
    sure = 0
    for _ in range(400):
        one, other = chance.random((2, 300)) < 0.9
        sure += mcnemar(one, other) < 0.05
    assert sure / 400 < 0.05


@pytest.mark.parametrize("count", [0, 1])
def test_of_fewer_than_two_images_no_loss_is_known_to_be_lower(count: int) -> None:
    assert not is_lower(np.zeros(count), np.ones(count))


def test_a_gain_is_optimistic_by_what_it_has_lost_on_other_images() -> None:
    """On a standard error, as drawn again and again."""
    rng = np.random.default_rng(0)
    found = [
        optimism(rng.choice([-1.0, 0, 1], 500, p=[0.02, 0.92, 0.06]), rng.choice([-1.0, 1], 300))
        for _ in range(400)
    ]
    gaps = np.array([each.gain for each in found])
    assert gaps.mean() == pytest.approx(0.04, abs=0.01)
    assert gaps.std() == pytest.approx(np.mean([each.error for each in found]), rel=0.15)
