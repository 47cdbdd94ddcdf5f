"""Tests of `tunesmith.evaluation.baselines`."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

from tunesmith.evaluation import baselines
from tunesmith.evaluation.baselines import linear, majority


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = load_digits()
    x_NHWC = np.round(data.images * (255 / 16)).astype(np.uint8)[..., None]
    return x_NHWC, data.target.astype(np.int64)


def two_sides(
    n: int, size: tuple[int, int], channels: int, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw noise that is brighter on the left or on the right."""
    rng = np.random.default_rng(seed)
    y_N = np.arange(n) % 2
    x_NHWC = rng.integers(0, 200, (n, *size, channels), dtype=np.uint8)
    x_NHWC[y_N == 0, :, : size[1] // 2] += 40
    x_NHWC[y_N == 1, :, size[1] // 2 :] += 40
    return x_NHWC, y_N


def test_majority_answers_the_class_most_frequent_in_training() -> None:
    train, test = np.array([2, 2, 0, 1]), np.array([2, 0, 0, 0])
    assert majority(train, test) == 0.25


def test_a_linear_model_reads_digits() -> None:
    x_NHWC, y_N = digits()
    rows = np.random.default_rng(0).permutation(len(y_N))
    found = linear(x_NHWC, y_N, rows[:1400], rows[1400:])
    assert 0.85 < found < 0.97


@pytest.mark.parametrize("size", [(8, 8), (17, 23), (33, 70), (256, 129), (1, 2)])
@pytest.mark.parametrize("channels", [1, 4])
def test_any_size_will_do(size: tuple[int, int], channels: int) -> None:
    few_pixels, (train, test) = size == (1, 2), np.arange(240).reshape(2, 120)
    x_NHWC, y_N = two_sides(240, size, channels, seed=0)
    assert linear(x_NHWC, y_N, train, test) > (0.55 if few_pixels else 0.9)


def test_images_are_not_copied_whole() -> None:
    x_NHWC, y_N = two_sides(120, (256, 256), 3, seed=0)
    train, test = np.arange(120).reshape(2, 60)
    tracemalloc.start()
    try:
        linear(x_NHWC, y_N, train, test)
        assert tracemalloc.get_traced_memory()[1] < x_NHWC.nbytes / 2
    finally:
        tracemalloc.stop()


def test_features_are_means_of_blocks() -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (3, 32, 16, 2), dtype=np.uint8)
    expected = x_NHWC.reshape(3, 16, 2, 16, 2).mean(2).reshape(3, -1) / 255
    found = baselines.coarse(x_NHWC, np.arange(3))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(40, 20), (20, 40)])
def test_ridge_is_that_of_scikit_learn(n: int, d: int) -> None:
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(n, d)).astype(np.float32)
    x_ND -= x_ND.mean(0)
    y_NK = rng.normal(size=(n, 3)).astype(np.float32)
    reference = Ridge(baselines.RIDGE * float((x_ND**2).mean()) * n).fit(x_ND, y_NK)
    w_DK, bias_K = baselines._ridge(x_ND, y_NK)
    np.testing.assert_allclose(w_DK, reference.coef_.T, atol=1e-4)
    np.testing.assert_allclose(bias_K, reference.intercept_, atol=1e-5)


def test_a_class_that_training_lacks_is_never_answered() -> None:
    x_NHWC, y_N = two_sides(80, (8, 8), 1, seed=0)
    y_N[40:] = 7
    assert linear(x_NHWC, y_N, *np.arange(80).reshape(2, 40)) == 0
