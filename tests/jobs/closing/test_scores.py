"""Tests of `tunesmith.jobs.closing.scores`."""

import numpy as np
import pytest

from tunesmith.evaluation.metrics import METRICS
from tunesmith.jobs.closing.scores import cross_validation

Y_N = np.arange(200, dtype=np.int64) % 4
P_NK = np.where(np.arange(4) == (Y_N + (np.arange(200) % 10 == 0))[:, None] % 4, 0.7, 0.1)
P_NK = P_NK.astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_the_users_metric_is_scored_with_its_interval(metric: str) -> None:
    found = cross_validation(metric, P_NK, Y_N, tested=20)
    assert found is not None
    assert (found.metric, found.n) == (metric, 200)
    assert found.value == METRICS[metric].function(P_NK, Y_N)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("count", [0, 20])
def test_there_is_none_without_folds_or_with_as_many_test_images(count: int) -> None:
    assert cross_validation("accuracy", P_NK[:count], Y_N[:count], tested=20) is None
