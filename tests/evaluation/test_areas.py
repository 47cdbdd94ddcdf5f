"""Tests of `tunesmith.evaluation.areas`."""

import numpy as np
import pytest

from tunesmith.evaluation.areas import area_of_counts, area_with_interval
from tunesmith.evaluation.metrics import Z_95, roc_auc


@pytest.mark.parametrize("digits", [1, 6])
def test_the_interval_is_that_of_all_pairs(digits: int) -> None:
    """As DeLong et al. define it: by the share of pairs that each image is on the right side in."""
    rng = np.random.default_rng(0)
    is_one_N = rng.random(200) < 0.3
    score_N = (rng.normal(size=200) + is_one_N).round(digits)
    one, other = score_N[is_one_N, None], score_N[~is_one_N]
    right = (one > other) + 0.5 * (one == other)
    variances = [right.mean(axis).var(ddof=1) / len(right.mean(axis)) for axis in (0, 1)]
    half = Z_95 * np.sqrt(sum(variances))
    found = area_with_interval(score_N, is_one_N)
    assert found == pytest.approx((right.mean(), right.mean() - half, right.mean() + half))
    assert found[0] == pytest.approx(
        roc_auc(np.stack([-score_N, score_N], axis=1), is_one_N.astype(np.int64))
    )


def test_counts_stand_for_images() -> None:
    rng = np.random.default_rng(0)
    score_U = rng.normal(size=20).round(1)  # some are equal
    ones_U, others_U = rng.integers(0, 5, (2, 20))
    scores = np.concatenate([score_U.repeat(ones_U), score_U.repeat(others_U)])
    is_one = np.arange(len(scores)) < ones_U.sum()
    found = area_of_counts(score_U, ones_U, others_U)
    assert found == pytest.approx(area_with_interval(scores, is_one), abs=1e-12)


@pytest.mark.parametrize("scores", [np.arange(12), np.zeros(12), np.arange(12) // 7])
def test_no_area_is_certain(scores: np.ndarray) -> None:
    area, low, high = area_with_interval(scores.astype(np.float64), np.arange(12) > 6)
    assert low <= area <= high
    assert high - low > 0.2
