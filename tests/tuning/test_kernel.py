"""Tests of `tunesmith.tuning.kernel`."""

import numpy as np
import pytest

from tunesmith.tuning.kernel import _loss, covariance, fit


def test_slopes_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    x_NE, z_N = rng.random((12, 4)), rng.standard_normal(12)
    noise_N, field_E = 1 + rng.random(12), np.array([0, 1, 2, 2])
    log_D1 = rng.standard_normal(4)
    _, slope_D1 = _loss(log_D1, x_NE, z_N, noise_N, field_E)
    for place, slope in enumerate(slope_D1):
        step_D1 = 5e-3 * (np.arange(4) == place)  # a smaller one is lost in single precision
        above, _ = _loss(log_D1 + step_D1, x_NE, z_N, noise_N, field_E)
        below, _ = _loss(log_D1 - step_D1, x_NE, z_N, noise_N, field_E)
        assert slope == pytest.approx((above - below) / 1e-2, rel=1e-3)


def test_fields_that_mean_nothing_get_a_long_scale() -> None:
    x_ND = np.random.default_rng(0).random((60, 3))
    z_N = np.sin(6 * x_ND[:, 0])
    log_D1 = fit(x_ND, z_N - z_N.mean(), np.ones(60), np.arange(3))
    assert log_D1[0] > log_D1[1:3].max() + 1


def test_points_are_alike_that_are_near_in_a_field_that_means_something() -> None:
    x_ND = np.random.default_rng(0).random((40, 2))
    x_ND[:3] = [[0.1, 0.1], [0.1, 0.9], [0.9, 0.1]]
    z_N = np.sin(6 * x_ND[:, 0])
    field_E, part = np.arange(2), np.arange(10, 40)
    alike_NN = covariance(x_ND, z_N - z_N.mean(), field_E=field_E, part=part)
    assert alike_NN[0, 1] > 0.9
    assert alike_NN[0, 2] < 0.5
    assert np.linalg.eigvalsh(alike_NN).min() > 0


def test_without_fields_points_are_not_alike() -> None:
    found = covariance(
        np.zeros((3, 0)), np.arange(3.0) - 1, field_E=np.arange(0), part=np.arange(3)
    )
    assert found.tolist() == np.eye(3).tolist()
