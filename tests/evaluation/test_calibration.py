"""Tests of `tunesmith.evaluation.calibration`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import BOUNDS, fit_temperature, softmax
from tunesmith.evaluation.metrics import expected_calibration_error, log_loss


def logits(
    n: int, k: int, *, truth: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw logits, and classes that they would predict honestly at temperature ``truth``."""
    rng = np.random.default_rng(seed)
    z_NK = 3 * rng.normal(size=(n, k))
    y_N = (rng.random((n, 1)) > softmax(z_NK, truth).cumsum(1)).sum(1).clip(max=k - 1)
    return z_NK, y_N


def log_loss64(z_NK: NDArray[np.float64], y_N: NDArray[np.int64]) -> float:
    """Log loss of logits in double precision."""
    normal_N = np.logaddexp.reduce(z_NK, axis=1)
    return float((normal_N - z_NK[np.arange(len(y_N)), y_N]).mean())


@pytest.mark.parametrize("truth", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("k", [2, 10])
def test_it_finds_the_temperature_that_the_classes_were_drawn_with(k: int, truth: float) -> None:
    z_NK, y_N = logits(5000, k, truth=truth, seed=0)
    assert fit_temperature(z_NK, y_N) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("truth", [0.5, 3.0])
def test_it_mends_calibration_and_log_loss_of_other_images(truth: float) -> None:
    z_NK, y_N = logits(4000, 5, truth=truth, seed=1)
    temperature = fit_temperature(z_NK[:2000], y_N[:2000])
    before, after = (softmax(z_NK[2000:], t) for t in (1.0, temperature))
    y_N = y_N[2000:]
    assert log_loss(after, y_N) < log_loss(before, y_N)
    error = expected_calibration_error(after, y_N)
    assert error < 0.04 < expected_calibration_error(before, y_N)


@given(
    st.integers(0, 40), st.integers(2, 5), st.floats(-30, 30), st.floats(1e-3, 1e3), st.integers(0)
)
def test_any_logits_give_a_temperature_within_bounds(
    n: int, k: int, shift: float, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    z_NK = shift + scale * rng.normal(size=(n, k))
    temperature = fit_temperature(z_NK.astype(np.float32), rng.integers(0, k, n))
    assert BOUNDS[0] <= temperature <= BOUNDS[1]
    assert np.isfinite(softmax(z_NK, temperature)).all()


@given(st.integers(1, 40), st.integers(2, 5), st.floats(-3, 3), st.floats(*BOUNDS), st.integers(0))
def test_it_finds_it_from_anywhere(
    n: int, k: int, log_scale: float, near: float, seed: int
) -> None:
    """That is where the slope changes its sign; or a bound."""
    rng = np.random.default_rng(seed)
    z_NK, y_N = np.exp(log_scale) * rng.normal(size=(n, k)), rng.integers(0, k, n)
    temperature = fit_temperature(z_NK, y_N, near=near)

    def loss(t: float) -> float:
        return n * log_loss64(z_NK / t, y_N) + math.log(t) ** 2 / 2

    for other in (temperature * 1.001, temperature / 1.001):
        if BOUNDS[0] <= other <= BOUNDS[1]:
            assert loss(other) >= loss(temperature)


def test_no_image_changes_nothing() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1


def test_a_handful_of_right_answers_makes_no_certainty() -> None:
    z_NK = np.array([[2.0, 0.0]] * 5)
    y_N = np.zeros(5, np.int64)
    assert 0.4 < fit_temperature(z_NK, y_N) < 1
    assert softmax(z_NK, fit_temperature(z_NK, y_N)).max() < 0.995


def test_answers_that_are_all_wrong_become_unsure() -> None:
    z_NK = np.array([[8.0, 0.0]] * 200)
    assert softmax(z_NK, fit_temperature(z_NK, np.ones(200, np.int64))).max() < 0.65


@given(st.floats(*BOUNDS), st.integers(0, 1000))
def test_a_temperature_changes_no_answer(temperature: float, seed: int) -> None:
    z_NK = np.random.default_rng(seed).normal(size=(20, 4))
    p_NK = softmax(z_NK, temperature)
    np.testing.assert_array_equal(p_NK.argmax(1), z_NK.argmax(1))
    np.testing.assert_allclose(p_NK.sum(1), 1, atol=1e-6)


def test_softmax_of_huge_logits_stays_finite() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e30, 0.0]]), 0.05), [[1, 0]])
