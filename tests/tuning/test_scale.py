"""Tests of `tunesmith.tuning.scale`."""

import numpy as np
import pytest

from tunesmith.tuning.scale import Scale


def test_near_the_best_differences_count_and_far_above_it_factors() -> None:
    scale = Scale.of([1.0, 2.0, 3.0, 1e6])
    assert (scale.lowest, scale.spread) == (1.0, 1.5)
    near, far = scale([1.0, 1.015, 1e5, 2e5]).reshape(2, 2)
    assert near[1] - near[0] == pytest.approx(0.01)
    assert far[1] - far[0] == pytest.approx(np.log(2), rel=1e-4)


def test_other_units_and_another_zero_change_nothing() -> None:
    values = np.array([3.0, 7.0, 4.5, 30.0])
    other = 1e-6 * values - 5
    assert np.allclose(Scale.of(list(other))(other), Scale.of(list(values))(values), rtol=1e-5)


def test_values_that_are_all_equal_or_none_have_a_scale() -> None:
    assert Scale.of([]) == Scale()
    assert np.isfinite(Scale.of([0.0, 0.0])([0.0, 1e100])).all()
