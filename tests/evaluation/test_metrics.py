"""Tests of `tunesmith.evaluation.metrics`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from tunesmith.evaluation.metrics import (
    METRICS,
    confusion_matrix,
    evaluate,
    expected_calibration_error,
    log_loss,
    roc_auc,
    wilson,
)


def answers(
    n: int, k: int, *, seed: int, grid: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw classes, and probabilities that know something of them; a coarse grid makes ties."""
    rng = np.random.default_rng(seed)
    y_N = rng.integers(0, k, n)
    z_NK = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y_N]
    if grid:
        z_NK = np.round(z_NK * grid) / grid
    p_NK = np.exp(z_NK)
    return p_NK / p_NK.sum(1, keepdims=True), y_N


def coverage(share: float, n: int) -> float:
    """Draw 20,000 counts, and see how many of their intervals hold the truth."""
    counts = np.random.default_rng(0).binomial(n, share, 20_000)
    correct, times = np.unique(counts, return_counts=True)
    inside = [low <= share <= high for low, high in (wilson(int(c), n) for c in correct)]
    return float(times[inside].sum() / times.sum())


@pytest.mark.parametrize("n", [20, 100, 2000])
def test_wilson_covers_the_truth_95_times_in_100_on_average(n: int) -> None:
    assert np.mean([coverage(share, n) for share in np.linspace(0.02, 0.98, 49)]) == pytest.approx(
        0.95, abs=0.01
    )


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("n", [20, 100, 2000])
def test_wilson_is_nowhere_far_off(share: float, n: int) -> None:
    # Counts are whole, so that no interval hits 95 % exactly, least of all for a handful of errors
    # (Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial Proportion").
    assert coverage(share, n) > (0.93 if n * share * (1 - share) > 5 else 0.86)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_within_0_and_1(n: int, share: float) -> None:
    correct = round(share * n)
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert high - low < 2 / math.sqrt(n)


def test_wilson_knows_nothing_without_images() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(2, 6), st.integers(2, 60), st.integers(0, 10**6), st.sampled_from([None, 1, 3]))
def test_every_metric_equals_scikit_learns(k: int, n: int, seed: int, grid: int | None) -> None:
    p_NK, y_N = answers(n, k, seed=seed, grid=grid)
    y_N[:k] = np.arange(k)[: len(y_N)]
    every = np.arange(k)
    found = {name: metric.function(p_NK, y_N) for name, metric in METRICS.items()}
    answer_N = p_NK.argmax(1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y_N, answer_N))
    assert found["balanced_accuracy"] == pytest.approx(
        np.mean([(answer_N[y_N == c] == c).mean() for c in np.unique(y_N)])
    )
    assert found["log_loss"] == pytest.approx(reference.log_loss(y_N, p_NK, labels=every))
    assert found["macro_f1"] == pytest.approx(
        reference.f1_score(y_N, answer_N, average="macro", zero_division=0)
    )
    if n >= k:
        score = p_NK[:, 1] if k == 2 else p_NK
        expected = reference.roc_auc_score(y_N, score, multi_class="ovr", average="macro")
        assert found["roc_auc"] == pytest.approx(expected)
    np.testing.assert_array_equal(
        confusion_matrix(p_NK, y_N), reference.confusion_matrix(y_N, answer_N, labels=every)
    )


def test_roc_auc_is_undefined_where_all_images_are_of_one_class() -> None:
    p_NK, _ = answers(10, 3, seed=0)
    one = np.zeros(10, np.int64)
    assert roc_auc(p_NK, one) is None
    assert evaluate(p_NK, one).roc_auc is None
    assert math.isnan(METRICS["roc_auc"].function(p_NK, one))


def test_roc_auc_leaves_out_a_class_without_images() -> None:
    p_NK, y_N = answers(60, 3, seed=0)
    y_N = y_N % 2
    ones = [reference.roc_auc_score(y_N == c, p_NK[:, c]) for c in (0, 1)]
    assert roc_auc(p_NK, y_N) == pytest.approx(np.mean(ones))


def test_a_probability_of_zero_costs_much_but_not_infinity() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-math.log(1e-15))
    assert not METRICS["log_loss"].greater_is_better


@pytest.mark.parametrize(
    ("confidence", "right", "expected"),
    [(0.8, 8, 0.0), (0.9, 5, 0.4), (1.0, 10, 0.0), (1.0, 0, 1.0), (0.6, 10, 0.4)],
)
def test_calibration_error_of_constructed_answers(
    confidence: float, right: int, expected: float
) -> None:
    p_NK = np.tile([confidence, 1 - confidence], (10, 1))
    y_N = np.array([0] * right + [1] * (10 - right))
    assert expected_calibration_error(p_NK, y_N) == pytest.approx(expected)


def test_calibration_error_does_not_let_bins_make_up_for_each_other() -> None:
    p_NK = np.repeat([[0.95, 0.05], [0.55, 0.45]], 20, axis=0)
    # Surer than right in one bin, less sure in the other, by as much.
    y_N = np.array([0] * 11 + [1] * 9 + [0] * 19 + [1])
    assert p_NK.max(1).mean() == pytest.approx((y_N == 0).mean())
    assert expected_calibration_error(p_NK, y_N) == pytest.approx(0.4)


def test_honest_probabilities_have_hardly_any_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p_NK = rng.dirichlet(np.ones(4), 20_000)
    y_N = (rng.random((20_000, 1)) > p_NK.cumsum(1)).sum(1)
    assert expected_calibration_error(p_NK, y_N) < 0.015


@given(st.integers(2, 5), st.integers(1, 80), st.integers(0, 10**6))
def test_an_evaluation_agrees_with_itself(k: int, n: int, seed: int) -> None:
    p_NK, y_N = answers(n, k, seed=seed)
    found = evaluate(p_NK, y_N)
    assert found.n == n == sum(map(sum, found.confusion))
    assert found.low <= found.accuracy <= found.high
    known = [recall for recall in found.recall if recall is not None]
    assert found.balanced_accuracy == pytest.approx(np.mean(known))
    assert [r is None for r in found.recall] == [sum(row) == 0 for row in found.confusion]
    for recall, (low, high) in zip(found.recall, found.recall_interval, strict=True):
        assert (low, high) == (0, 1) if recall is None else low <= recall <= high


@pytest.mark.parametrize(("shape", "n"), [((0, 3), 0), ((4, 3), 5), ((4,), 4)])
def test_evaluating_what_does_not_fit_is_refused(shape: tuple[int, ...], n: int) -> None:
    with pytest.raises(ValueError, match=r"of at least one image, but got shapes \("):
        evaluate(np.ones(shape), np.zeros(n, np.int64))
