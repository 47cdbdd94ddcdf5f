"""Tests of `tunesmith.evaluation.interval`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.evaluation.interval import interval, resampled, resamples
from tunesmith.evaluation.metrics import METRICS, evaluate, wilson

Floats = NDArray[np.float64]


def answers(count: int, *, seed: int, classes: int = 3) -> tuple[Floats, NDArray[np.int64]]:
    """Probabilities of a model that is right more often than not, and of what."""
    chance = np.random.default_rng(seed)
    y_N = chance.permutation(np.arange(count) % classes)
    z_NK = chance.normal(size=(count, classes))
    z_NK[np.arange(count), y_N] += 1.5
    e_NK = np.exp(z_NK)
    return e_NK / e_NK.sum(1, keepdims=True), y_N


def bounds_of(metric: str, p_NK: Floats, y_N: NDArray[np.int64]) -> tuple[float, float]:
    return interval(metric, evaluate(p_NK, y_N), p_NK, y_N)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("classes", [2, 3])
def test_it_holds_the_score_and_narrows_with_more_images(metric: str, classes: int) -> None:
    widths = []
    for count in (60, 600):
        p_NK, y_N = answers(count, seed=0, classes=classes)
        low, high = bounds_of(metric, p_NK, y_N)
        assert low < METRICS[metric].function(p_NK, y_N) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("metric", [m for m, each in METRICS.items() if each.greater_is_better])
@pytest.mark.parametrize("classes", [2, 3])
def test_without_a_mistake_one_cannot_be_sure_that_there_is_none(metric: str, classes: int) -> None:
    y_N = np.arange(24) % classes
    low, high = bounds_of(metric, np.eye(classes)[y_N] * 0.9 + 0.03, y_N)
    assert 0.5 < low < 0.97
    assert high == 1.0


def test_of_accuracy_it_is_wilson_s() -> None:
    p_NK, y_N = answers(90, seed=1)
    right = int((p_NK.argmax(1) == y_N).sum())
    assert bounds_of("accuracy", p_NK, y_N) == wilson(right, 90)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "roc_auc", "macro_f1"])
def test_it_holds_the_truth_as_often_as_it_says(metric: str) -> None:
    truth = METRICS[metric].function(*answers(100_000, seed=99))
    bounds = [bounds_of(metric, *answers(90, seed=seed)) for seed in range(60)]
    held = [low <= truth <= high for low, high in bounds]
    assert np.mean(held) > 0.88  # 95 % of 60, less three standard deviations


def test_a_class_with_a_single_image_has_an_interval_too() -> None:
    p_NK, y_N = answers(30, seed=2)
    y_N[y_N == 2] = 0
    y_N[0] = 2
    low, high = bounds_of("roc_auc", p_NK, y_N)
    assert 0 <= low < high <= 1


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_areas_of_resamples_are_computed_at_once_as_one_by_one(classes: int) -> None:
    """With ties, and with classes that are missing in some resamples."""
    p_NK, y_N = answers(12, seed=3, classes=classes)
    p_NK, values = p_NK.round(1), 10**9
    found = resampled("roc_auc", p_NK, y_N, values)
    one_by_one = [METRICS["roc_auc"].function(p_NK[i], y_N[i]) for i in resamples(12, values)]
    np.testing.assert_allclose(found, one_by_one, atol=1e-12)


def test_a_resample_of_one_class_has_no_area() -> None:
    y_N = np.array([0, 1])
    found = resampled("roc_auc", np.eye(2)[y_N], y_N, 10**6)
    assert 0 < np.isnan(found).sum() < len(found)
    assert set(found[np.isfinite(found)]) == {1.0}
