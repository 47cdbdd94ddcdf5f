"""The kernel of a Gaussian process, and how its length scales and its noise are fitted.

A Matérn kernel with a length scale for each field (Snoek, Larochelle and Adams 2012).

Letters: N = trials, C = candidates, E = embedding of the fields: a number is one column, a choice
one for each option. D1 = fields and the noise.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tunesmith.tuning.cube import Floats, squared_distances

# Prior of the fit, in logarithms: mean and standard deviation. With more fields, points lie farther
# apart (Hvarfner, Hellsten and Nardi 2024). A relevance is an inverse length scale.
NOISE, NOISE_SD = math.log(0.01), 1.0
ANY_NOISE, ANY_NOISE_SD = math.log(0.1), 3.0  # where it may also be that there is nothing else
RELEVANCE, RELEVANCE_SD = 0.5, 2.0
BOUNDS = -5.0, 4.0  # of these logarithms; so much noise keeps a covariance well conditioned
STEPS, FIRST_STEP, STEP_RANGE = 6, 0.5, (0.01, 1.5)
GROW, SHRINK = 1.3, 0.5  # of a step, while a derivative keeps its sign, and when it changes it
LEAST = 1e-9  # variance


def covariance(
    x_NE: Floats, z_N: Floats, *, field_E: NDArray[np.int64], part: NDArray[np.int64]
) -> Floats:
    """Covariance of scores at points, but for a factor, by a process fitted to a part of them.

    Without fields, scores are independent.

    Args:
        x_NE: The points.
        z_N: Their scores, whose mean is zero.
        field_E: Field of each column.
        part: Indices of the points to which the process is fitted.
    """
    if not field_E.size:
        return np.eye(len(z_N))
    noise = ANY_NOISE, ANY_NOISE_SD
    log_D1 = fit(x_NE[part], z_N[part], np.ones(len(part)), field_E, noise=noise)
    x_NE = x_NE * np.exp(log_D1[field_E])
    covariance_NN: Floats = matern(x_NE, x_NE) + np.exp(log_D1[-1]) * np.eye(len(z_N))
    return covariance_NN


def inverse(x_NN: Floats) -> Floats:
    """Inverse of a matrix."""
    return np.asarray(np.linalg.inv(x_NN), np.float64)


def _distance(x_CE: Floats, x_NE: Floats) -> Floats:
    """Distances times the root of 5, as the kernel takes them, ``[C, N]``."""
    distance_CN: Floats = np.sqrt(5 * np.maximum(squared_distances(x_CE, x_NE), 0))
    return distance_CN


def matern(x_CE: Floats, x_NE: Floats) -> Floats:
    """Matérn kernel of smoothness 5/2."""
    return _fallen(_distance(x_CE, x_NE))[0]


def _fallen(r_CN: Floats) -> tuple[Floats, Floats]:
    """The kernel at such distances, and the exponential in it.

    The exponential is of single precision, which takes a fifth of the time without AVX-512, and
    whose errors are far below those of the noise.
    """
    fall_CN: Floats = np.exp(-r_CN.astype(np.float32)).astype(np.float64)
    return (1 + r_CN + r_CN**2 / 3) * fall_CN, fall_CN


def fit(
    x_NE: Floats,
    z_N: Floats,
    noise_N: Floats,
    field_E: NDArray[np.int64],
    *,
    noise: tuple[float, float] = (NOISE, NOISE_SD),
) -> Floats:
    """Logarithms of the relevance of each field, and of the noise, ``[D + 1]``.

    By the signs of the derivatives (Riedmiller and Braun 1993, "RPROP"): a few steps suffice.

    Args:
        x_NE: Points.
        z_N: Their scores.
        noise_N: Variances of the noise, relative to each other.
        field_E: Field of each column.
        noise: Prior of the noise: mean and standard deviation of its logarithm.
    """
    fields = int(field_E[-1]) + 1
    prior_D1 = np.append(np.full(fields, RELEVANCE - math.log(fields) / 2), noise[0])
    width_D1 = np.append(np.full(fields, RELEVANCE_SD), noise[1])
    log_D1, step_D1 = prior_D1, np.full(fields + 1, FIRST_STEP)
    before_D1, best, found_D1 = np.zeros(fields + 1), math.inf, prior_D1
    for _ in range(STEPS):
        loss, gradient_D1 = _loss(log_D1, x_NE, z_N, noise_N, field_E)
        off_D1 = (log_D1 - prior_D1) / width_D1
        loss, gradient_D1 = loss + off_D1 @ off_D1 / 2, gradient_D1 + off_D1 / width_D1
        if loss < best:
            best, found_D1 = loss, log_D1
        turn_D1 = gradient_D1 * before_D1
        factor_D1 = np.where(turn_D1 > 0, GROW, np.where(turn_D1 < 0, SHRINK, 1.0))
        step_D1, before_D1 = np.clip(step_D1 * factor_D1, *STEP_RANGE), gradient_D1
        log_D1 = np.clip(log_D1 - step_D1 * np.sign(gradient_D1), *BOUNDS)
    return found_D1


def _loss(
    log_D1: Floats, x_NE: Floats, z_N: Floats, noise_N: Floats, field_E: NDArray[np.int64]
) -> tuple[float, Floats]:
    """Negative log marginal likelihood, at the best variance of the process, and its gradient."""
    x_NE, noise_N = x_NE * np.exp(log_D1[field_E]), np.exp(log_D1[-1]) * noise_N
    r_NN = _distance(x_NE, x_NE)
    near_NN, fall_NN = _fallen(r_NN)
    covariance_NN = near_NN + np.diag(noise_N)
    inverse_NN = inverse(covariance_NN)
    root_NN, weight_N = np.linalg.cholesky(covariance_NN), inverse_NN @ z_N
    half_log_determinant = float(np.log(np.diag(root_NN)).sum())
    variance = max(float(z_N @ weight_N) / len(z_N), LEAST)
    by_covariance_NN = (inverse_NN - np.outer(weight_N, weight_N) / variance) / 2
    # By the logarithm of a relevance: -5/3 (1 + r) exp(-r) times the squared difference.
    by_square_NN = by_covariance_NN * (1 + r_NN) * fall_NN * (-5 / 3)
    by_column_E = 2 * (
        by_square_NN.sum(axis=1) @ x_NE**2 - np.einsum("ne,ne->e", x_NE, by_square_NN @ x_NE)
    )
    by_noise = np.diag(by_covariance_NN) @ noise_N
    gradient_D1: Floats = np.append(np.bincount(field_E, by_column_E), by_noise)
    return len(z_N) * math.log(variance) / 2 + half_log_determinant, gradient_D1
