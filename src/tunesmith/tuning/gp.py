"""A Gaussian process: propose the config with the highest expected improvement.

Expected improvement (Jones, Schonlau and Welch 1998) with a Matérn kernel that has a length scale
for each field (Snoek, Larochelle and Adams 2012). Values are replaced by their normal scores, by
rank, so that a few that diverged do not hide the differences between the good ones. A trial that
has trained little is a noisy measurement of what it would come to.

Letters: N = trials, P = pending trials, C = candidates, D = fields, E = their embedding: a number
is one column, a choice one for each option. D1 = fields and the noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.core.space import Space
from tunesmith.tuning.cube import (
    Floats,
    decode,
    embed,
    encode,
    options_of,
    reflected,
)
from tunesmith.tuning.curves import expected
from tunesmith.tuning.kernel import LEAST, fit, inverse, matern
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.random_sampler import RandomSampler

FEWEST = 6  # measured trials before the process is used
RANDOM = 0.1  # share of the proposals that are random
CANDIDATES = 256  # half of them anywhere, half near the best trials
NEAR = 0.1  # share of the trials near which candidates are drawn
WIDTH = 0.1  # standard deviation of a number near them, as a share of its range
CHANGED = 0.3  # share of the choices that differ near them
# Trials used at most, which bounds the time of a decision: as many of the best ones as of the
# others, which are drawn. The length scales are fitted to fewer.
MOST, FITTED = 100, 60
# Variance of the noise of a trial that trained for up to a share `SHORT` of the horizon, relative
# to one at the horizon, less 1. Also of a failed one: a step is no smooth function.
LAG, SHORT = 6.0, 0.04
NORMAL = NormalDist()


@final
@dataclass(frozen=True)
class GP:
    """Proposes the candidate with the highest expected improvement that was not tried yet."""

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        rng = np.random.default_rng(derive(seed, "gp", len(history.trials)))
        if len(history.measured) < FEWEST or rng.random() < RANDOM:
            return RandomSampler()(space, history, seed=seed)
        trials, z_N = _scored(history, rng)
        x_ND, options_D = encode(space, [trial.config for trial in trials]), options_of(space)
        posterior = _Posterior.fitted(
            embed(x_ND, options_D),
            z_N,
            _noise(trials, history.horizon),
            field_E=np.arange(len(space)).repeat(np.maximum(options_D, 1)),
            part=_some(len(trials), FITTED, rng),
        )
        pending = [t.config for t in history.trials if t.until is not None and not t.is_tried]
        if pending:
            posterior = posterior.believing(embed(encode(space, pending), options_D))
        sound = sum(trial.failed is None for trial in trials)
        x_CD = _candidates(x_ND[: min(sound, math.ceil(NEAR * len(trials)))], options_D, rng)
        # Inactive fields of a candidate are not at their defaults here, on purpose: it seems less
        # known than it is, so that rare branches of a space are looked into.
        gain_C = posterior.expected_improvement(embed(x_CD, options_D))
        tried = [trial.config for trial in history.trials]
        best_first = (decode(space, x_CD[c]) for c in np.argsort(-gain_C, kind="stable"))
        found = next((config for config in best_first if config not in tried), None)
        return found or RandomSampler()(space, history, seed=seed)


def _scored(history: History, rng: np.random.Generator) -> tuple[list[Trial], Floats]:
    """Trials that were measured or have failed, the best ones first, with their normal scores.

    Equal values have equal scores; so have failed trials, which come last.
    """
    values_N, measured = expected(history), np.array(history.measured)
    failed_N = np.flatnonzero(history.table.is_failed_N)
    order_N = np.concatenate([measured[np.argsort(values_N[measured], kind="stable")], failed_N])
    values_N = values_N[order_N]
    used = _some(len(values_N), MOST, rng)
    first_N, last_N = (
        np.searchsorted(values_N, values_N[used], side) for side in ("left", "right")
    )
    ranks = ((first_N + last_N) / 2).tolist()
    z_N = np.array([NORMAL.inv_cdf(rank / len(values_N)) for rank in ranks])
    return [history.trials[order_N[n]] for n in used], z_N


def _some(count: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of some of the trials, which are in order: the best ones, and a draw of others."""
    if count <= most:
        return np.arange(count)
    best = most // 2
    others = rng.permutation(count - best)[: most - best] + best
    return np.concatenate([np.arange(best), np.sort(others)])


def _noise(trials: Sequence[Trial], horizon: int) -> Floats:
    """Variance of the trials' values relative to that of a whole training, ``[N]``."""
    share_N = np.array([trial.at if trial.failed is None else 0 for trial in trials]) / horizon
    lacks_N = np.log(np.maximum(share_N, SHORT)) / math.log(SHORT)
    return np.asarray(1 + LAG * lacks_N, np.float64)


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
class _Posterior:
    """A Gaussian process with a prior mean of zero, given scores at some points.

    Attributes:
        x_NE: The points, in length scales.
        z_N: Their scores.
        noise_N: Variances of the noise of the scores, relative to that of the process.
        relevance_E: Inverse length scales.
        variance: Variance of the process.
        inverse_NN: Inverse of the covariance matrix, relative to that variance.
    """

    x_NE: Floats
    z_N: Floats
    noise_N: Floats
    relevance_E: Floats
    variance: float
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
        """Fit the length scales and the noise, by maximum a posteriori.

        Args:
            x_NE: The points.
            z_N: Their scores.
            noise_N: Variances of the noise, relative to each other.
            field_E: Field of each column.
            part: Indices of the points to which these are fitted.
        """
        log_D1 = fit(x_NE[part], z_N[part], noise_N[part], field_E)
        relevance_E, noise_N = np.exp(log_D1[field_E]), np.exp(log_D1[-1]) * noise_N
        x_NE = x_NE * relevance_E
        inverse_NN = inverse(matern(x_NE, x_NE) + np.diag(noise_N))
        return cls(
            x_NE=x_NE,
            z_N=z_N,
            noise_N=noise_N,
            relevance_E=relevance_E,
            variance=max(float(z_N @ inverse_NN @ z_N) / len(z_N), LEAST),
            inverse_NN=inverse_NN,
        )

    def believing(self, x_PE: Floats) -> Self:
        """The posterior if pending trials gave what is expected of them.

        A "kriging believer" (Ginsbourger, Le Riche and Carraro 2010).
        """
        x_PE = x_PE * self.relevance_E
        mean_P = matern(x_PE, self.x_NE) @ self.inverse_NN @ self.z_N
        x_NE = np.concatenate([self.x_NE, x_PE])
        noise_N = np.concatenate([self.noise_N, np.full(len(x_PE), self.noise_N.min())])
        return replace(
            self,
            x_NE=x_NE,
            z_N=np.concatenate([self.z_N, mean_P]),
            noise_N=noise_N,
            inverse_NN=inverse(matern(x_NE, x_NE) + np.diag(noise_N)),
        )

    def expected_improvement(self, x_CE: Floats) -> Floats:
        """Expected improvement of candidates on the trials' lowest posterior mean, ``[C]``."""
        weight_N = self.inverse_NN @ self.z_N
        incumbent = float((self.z_N - self.noise_N * weight_N).min())
        near_CN = matern(x_CE * self.relevance_E, self.x_NE)
        unknown_C = 1 - np.einsum("cn,cn->c", near_CN @ self.inverse_NN, near_CN)
        sd_C = np.sqrt(np.maximum(unknown_C, LEAST) * self.variance)
        u_C = (incumbent - near_CN @ weight_N) / sd_C
        below_C = np.array([*map(math.erfc, (-u_C / math.sqrt(2)).tolist())]) / 2
        density_C = np.exp(-u_C * u_C / 2) / math.sqrt(2 * math.pi)
        return np.asarray(sd_C * (u_C * below_C + density_C), np.float64)
