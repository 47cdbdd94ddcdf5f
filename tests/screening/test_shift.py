"""Tests of `tunesmith.screening.shift`."""

import numpy as np
import pytest

from tunesmith.screening.shift import find_shift


def test_equal_parts_are_hardly_ever_called_different() -> None:
    called = 0
    for seed in range(40):
        f_ND = np.random.default_rng(seed).normal(size=(300, 8))
        shift = find_shift(f_ND, np.arange(300) % 3 == 0)
        assert shift is not None
        called += shift.matters
    assert called == 0


@pytest.mark.parametrize("tested", [40, 1000])
def test_brighter_test_images_are_told_apart(tested: int) -> None:
    f_ND = np.random.default_rng(0).normal(size=(2000, 8))
    tested_N = np.arange(2000) < tested
    f_ND[tested_N, 3] += 1.5
    shift = find_shift(f_ND, tested_N)
    assert shift is not None
    assert shift.matters
    assert shift.low < shift.auc < shift.high
    assert shift.auc == pytest.approx(0.856, abs=0.05)  # of normal variables 1.5 apart


def test_nothing_is_said_of_single_images() -> None:
    assert find_shift(np.zeros((5, 2)), np.arange(5) == 0) is None
