"""A Gaussian process: propose the config that is expected to improve most on the best one.

Expected improvement (Jones, Schonlau and Welch 1998) with a Matérn kernel that has a scale for each
field (Snoek, Larochelle and Adams 2012). Values are compared by rank, so that a few that diverged
do not hide the differences between the good ones. A trial that has trained little is a noisy
measurement of what it would come to.

Letters: N = trials, C = candidates, D = fields, E = their embedding: a number is one column, a
choice one for each option.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.core.space import Space
from tunesmith.tuning.cube import Floats, decode, embed, encode, options_of, reflected
from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.random_sampler import RandomSampler

FEWEST = 6  # measured trials before the process is used
RANDOM = 0.1  # share of the proposals that are random
CANDIDATES = 256  # half of them anywhere, half near the best trials
NEAR, WIDTH = 0.1, 0.1  # share of the trials that count as best, and how far off to look
CHANGED = 0.3  # share of the choices that differ there
# Trials used at most, which bounds the time of a decision: the best ones, and a random part of the
# rest. The scales are fitted to fewer.
MOST, FITTED, BEST = 100, 60, 0.5
LAG = 6.0  # variance of a trial that trained for one unit, relative to one at the horizon, less 1
# Prior of the fit, in logarithms: mean and standard deviation. With more fields, points lie farther
# apart (Hvarfner, Hellsten and Nardi 2024).
NOISE, NOISE_SD, SCALE, SCALE_SD = math.log(0.01), 1.0, 0.5, 2.0
STEPS, FIRST_STEP, STEP_RANGE = 6, 0.5, (0.01, 1.5)
GROW, SHRINK = 1.3, 0.5  # of a step, while a derivative keeps its sign, and when it changes it
BOUNDS = -5.0, 4.0
NORMAL = NormalDist()


@final
@dataclass(frozen=True)
class GP:
    """Proposes the candidate with the highest expected improvement."""

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        rng = np.random.default_rng(derive(seed, "gp", len(history.trials)))
        if len(history.measured) < FEWEST or rng.random() < RANDOM:
            return RandomSampler()(space, history, seed=seed)
        trials = _ranked(history)
        used = _some(len(trials), MOST, rng).tolist()
        z_N = np.array([NORMAL.inv_cdf((rank + 0.5) / len(trials)) for rank in used])
        trials = [trials[rank] for rank in used]
        x_ND, options_D = encode(space, [trial.config for trial in trials]), options_of(space)
        known = _Process.fitted(
            embed(x_ND, options_D),
            z_N - z_N.mean(),
            _noise(trials, history.horizon),
            field_E=np.arange(len(space)).repeat(np.maximum(options_D, 1)),
            part=_some(len(trials), FITTED, rng),
        )
        running = [t.config for t in history.trials if t.until is not None and not t.is_tried]
        if running:
            known = known.believing(embed(encode(space, running), options_D))
        x_CD = _candidates(x_ND[: math.ceil(NEAR * len(x_ND))], options_D, rng)
        return decode(space, x_CD[np.argmax(known.improvement(embed(x_CD, options_D)))])


def _ranked(history: History) -> list[Trial]:
    """Trials that were measured or have failed, the best ones first, failed ones last."""
    order_N = np.argsort(expected(history), kind="stable").tolist()
    return [trial for n in order_N if (trial := history.trials[n]).is_tried]


def _some(count: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the first ones of many, and of a random part of the rest, in order."""
    if count <= most:
        return np.arange(count)
    best = round(BEST * most)
    others = rng.permutation(count - best)[: most - best] + best
    return np.concatenate([np.arange(best), np.sort(others)])


def _noise(trials: Sequence[Trial], horizon: int) -> Floats:
    """Variance of the trials' values relative to that of a whole training, ``[N]``."""
    at_N = np.array([max(1, trial.at) for trial in trials], dtype=np.float64)
    return 1 + LAG * np.log(horizon / at_N) / max(math.log(horizon), 1.0)


def _candidates(best_ND: Floats, options_D: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Points anywhere, and points near the best trials."""
    any_CD = rng.random((CANDIDATES, len(options_D)))
    half = CANDIDATES // 2
    best_CD = best_ND[rng.integers(len(best_ND), size=half)]
    moved_CD = reflected(best_CD + WIDTH * rng.standard_normal(best_CD.shape))
    is_kept_CD = rng.random(best_CD.shape) >= CHANGED
    option_CD = np.where(is_kept_CD, best_CD, any_CD[half:])
    return np.concatenate([any_CD[:half], np.where(options_D > 0, option_CD, moved_CD)])


@final
@dataclass(frozen=True, kw_only=True)
class _Process:
    """A process with a mean of zero, given values at points.

    Attributes:
        x_NE: The points, in units of the kernel's scales.
        z_N: Their values.
        noise_N: Variances of the values, relative to that of the process.
        scale_E: Kernel scales, inverted.
        inverse_NN: Inverse of the covariance.
    """

    x_NE: Floats
    z_N: Floats
    noise_N: Floats
    scale_E: Floats
    inverse_NN: Floats

    @classmethod
    def fitted(
        cls,
        x_NE: Floats,
        z_N: Floats,
        noise_N: Floats,
        *,
        field_E: NDArray[np.int64],
        part: NDArray[np.int64],
    ) -> Self:
        """Fit the scales and the noise to a part of the points, by maximum a posteriori."""
        log_D1 = _fit(x_NE[part], z_N[part], noise_N[part], field_E)
        scale_E, noise_N = np.exp(log_D1[field_E]), np.exp(log_D1[-1]) * noise_N
        return cls._at(x_NE * scale_E, z_N, noise_N, scale_E)

    @classmethod
    def _at(cls, x_NE: Floats, z_N: Floats, noise_N: Floats, scale_E: Floats) -> Self:
        inverse_NN = _inverse(_matern(x_NE, x_NE) + np.diag(noise_N))
        return cls(x_NE=x_NE, z_N=z_N, noise_N=noise_N, scale_E=scale_E, inverse_NN=inverse_NN)

    def believing(self, x_PE: Floats) -> Self:
        """The process if trials that are running gave what is expected of them."""
        mean_P = _matern(x_PE * self.scale_E, self.x_NE) @ self.inverse_NN @ self.z_N
        return self._at(
            np.concatenate([self.x_NE, x_PE * self.scale_E]),
            np.concatenate([self.z_N, mean_P]),
            np.concatenate([self.noise_N, np.full(len(x_PE), self.noise_N.min())]),
            self.scale_E,
        )

    def improvement(self, x_CE: Floats) -> Floats:
        """Expected improvement of points on the lowest expected value of the trials, ``[C]``."""
        weight_N = self.inverse_NN @ self.z_N
        lowest = float((_matern(self.x_NE, self.x_NE) @ weight_N).min())
        near_CN = _matern(x_CE * self.scale_E, self.x_NE)
        unknown_C = 1 - np.einsum("cn,cn->c", near_CN @ self.inverse_NN, near_CN)
        variance = max(float(self.z_N @ weight_N) / len(self.z_N), 1e-9)
        sd_C = np.sqrt(np.maximum(unknown_C, 1e-9) * variance)
        u_C = (lowest - near_CN @ weight_N) / sd_C
        below_C = np.array([math.erfc(-u / math.sqrt(2)) / 2 for u in u_C.tolist()])
        gain_C: Floats = sd_C * (u_C * below_C + np.exp(-u_C * u_C / 2) / math.sqrt(2 * math.pi))
        return gain_C


def _inverse(x_NN: Floats) -> Floats:
    return np.asarray(np.linalg.inv(x_NN), np.float64)


def _distance(x_CE: Floats, x_NE: Floats) -> Floats:
    """Distances times the root of 5, ``[C, N]``."""
    squares_CN = (x_CE**2).sum(axis=1)[:, None] + (x_NE**2).sum(axis=1) - 2 * x_CE @ x_NE.T
    distance_CN: Floats = np.sqrt(5 * np.maximum(squares_CN, 0))
    return distance_CN


def _matern(x_CE: Floats, x_NE: Floats) -> Floats:
    """Matérn kernel of smoothness 5/2."""
    r_CN = _distance(x_CE, x_NE)
    near_CN: Floats = (1 + r_CN + r_CN**2 / 3) * np.exp(-r_CN)
    return near_CN


def _fit(x_NE: Floats, z_N: Floats, noise_N: Floats, field_E: NDArray[np.int64]) -> Floats:
    """Logarithms of the inverted scale of each field, and of the noise, ``[D + 1]``.

    By the signs of the derivatives (Riedmiller and Braun 1993, "RPROP"): a few steps suffice.
    """
    fields = int(field_E[-1]) + 1
    prior_D1 = np.append(np.full(fields, SCALE - math.log(fields) / 2), NOISE)
    width_D1 = np.append(np.full(fields, SCALE_SD), NOISE_SD)
    log_D1, step_D1 = prior_D1, np.full(fields + 1, FIRST_STEP)
    before_D1, best, found_D1 = np.zeros(fields + 1), math.inf, prior_D1
    for _ in range(STEPS):
        loss, slope_D1 = _loss(log_D1, x_NE, z_N, noise_N, field_E)
        off_D1 = (log_D1 - prior_D1) / width_D1
        loss, slope_D1 = loss + off_D1 @ off_D1 / 2, slope_D1 + off_D1 / width_D1
        if loss < best:
            best, found_D1 = loss, log_D1
        agreed_D1 = slope_D1 * before_D1
        factor_D1 = np.where(agreed_D1 > 0, GROW, np.where(agreed_D1 < 0, SHRINK, 1.0))
        step_D1, before_D1 = np.clip(step_D1 * factor_D1, *STEP_RANGE), slope_D1
        log_D1 = np.clip(log_D1 - step_D1 * np.sign(slope_D1), *BOUNDS)
    return found_D1


def _loss(
    log_D1: Floats, x_NE: Floats, z_N: Floats, noise_N: Floats, field_E: NDArray[np.int64]
) -> tuple[float, Floats]:
    """Negative log marginal likelihood, at the best variance of the process, and its slopes."""
    x_NE, noise_N = x_NE * np.exp(log_D1[field_E]), np.exp(log_D1[-1]) * noise_N
    r_NN = _distance(x_NE, x_NE)
    fall_NN = np.exp(-r_NN)
    covariance_NN = (1 + r_NN + r_NN**2 / 3) * fall_NN + np.diag(noise_N)
    inverse_NN = _inverse(covariance_NN)
    log_size, weight_N = float(np.linalg.slogdet(covariance_NN)[1]), inverse_NN @ z_N
    variance = max(float(z_N @ weight_N) / len(z_N), 1e-9)
    by_covariance_NN = (inverse_NN - np.outer(weight_N, weight_N) / variance) / 2
    # By the logarithm of an inverted scale: -5/3 (1 + r) exp(-r) times the squared difference.
    by_square_NN = by_covariance_NN * (1 + r_NN) * fall_NN * (-5 / 3)
    by_column_E = 2 * (
        by_square_NN.sum(axis=1) @ x_NE**2 - np.einsum("ne,ne->e", x_NE, by_square_NN @ x_NE)
    )
    by_noise = np.diag(by_covariance_NN) @ noise_N
    slope_D1: Floats = np.append(np.bincount(field_E, by_column_E), by_noise)
    return (len(z_N) * math.log(variance) + log_size) / 2, slope_D1
