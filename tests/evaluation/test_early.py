"""Tests of `tunesmith.evaluation.early`."""

import numpy as np
import pytest

from tunesmith.evaluation.early import chance, compared_by, counting
from tunesmith.evaluation.metrics import METRICS


@pytest.mark.parametrize("metric", METRICS)
def test_networks_are_compared_by_shares_of_right_answers(metric: str) -> None:
    assert compared_by(metric) in {"accuracy", "balanced_accuracy"}
    assert compared_by(compared_by(metric)) == compared_by(metric)


@pytest.mark.parametrize("counts", [[5, 3, 2], [1, 9], [4], [0, 3, 3]])
def test_chance_is_what_the_most_frequent_class_explains(counts: list[int]) -> None:
    y_N = np.repeat(np.arange(len(counts)), counts)
    assert chance("accuracy", y_N) == max(counts) / sum(counts)
    assert chance("balanced_accuracy", y_N) == pytest.approx(1 / np.count_nonzero(counts))


@pytest.mark.parametrize(
    ("counts", "deciding"), [([5, 3, 2], 6), ([1, 9], 2), ([4], 4), ([0, 3, 3], 6)]
)
def test_a_rare_class_decides_a_mean_over_classes(counts: list[int], deciding: int) -> None:
    y_N = np.repeat(np.arange(len(counts)), counts)
    assert counting("accuracy", y_N) == sum(counts)
    assert counting("balanced_accuracy", y_N) == deciding
