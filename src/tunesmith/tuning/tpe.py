"""A tree-structured Parzen estimator: propose where good configs are dense and others are not.

Bergstra et al. 2011, in the joint form of Falkner et al. 2018 (BOHB): one density over all fields.

Letters: N = configs, C = candidates, D = fields, E = their embedding: a number is one column, a
choice one for each option.
"""

import math
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.core.space import Space
from tunesmith.tuning.cube import (
    Floats,
    decode,
    encode,
    is_option,
    options_of,
    reflected,
    squared_distances,
)
from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History
from tunesmith.tuning.random_sampler import RandomSampler

GOOD, FEWEST_GOOD = 0.15, 3  # share of the configs that count as good, and how many at least
UNIFORM = 0.1  # share of a density that is uniform
RANDOM = 0.1  # share of the proposals that are random
CANDIDATES = 64
# Width of the kernel around a single config. It does not depend on how far configs lie apart:
# otherwise, good ones that are close by chance would never be left again.
WIDTH = 0.15
FEWEST = 10  # measured trials before the densities are used


@final
@dataclass(frozen=True)
class TPE:
    """Proposes the candidate whose density among good configs most exceeds that among the rest."""

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        rng = np.random.default_rng(derive(seed, "tpe", len(history.trials)))
        values_N = expected(history)
        if np.isfinite(values_N).sum() < FEWEST or rng.random() < RANDOM:
            return RandomSampler()(space, history, seed=seed)
        order_N = np.argsort(values_N, kind="stable")
        good = max(FEWEST_GOOD, math.ceil(GOOD * np.isfinite(values_N).sum()))
        x_ND = encode(space, [trial.config for trial in history.trials])[order_N]
        options_D = options_of(space)
        among_good = _Density.around(x_ND[:good], options_D)
        among_rest = _Density.around(x_ND[good:], options_D)
        x_CD = among_good.draw(rng)
        return decode(space, x_CD[np.argmax(among_good.log(x_CD) - among_rest.log(x_CD))])


@final
@dataclass(frozen=True)
class _Density:
    """A mixture of kernels around points of the unit cube.

    Attributes:
        x_ND: Centers of the kernels.
        width_D: Widths of the kernels: standard deviation of a number, probability of another
            option.
        options_D: Number of options of each field; 0 for a number.
    """

    x_ND: Floats
    width_D: Floats
    options_D: NDArray[np.int64]

    @classmethod
    def around(cls, x_ND: Floats, options_D: NDArray[np.int64]) -> Self:
        """Make kernels around points: the more points, the narrower the kernels."""
        count, fields = x_ND.shape
        return cls(x_ND, np.full(fields, WIDTH * count ** (-1 / (fields + 4))), options_D)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw candidates ``(C, D)`` from the mixture, some of them uniformly."""
        shape = CANDIDATES, self.x_ND.shape[1]
        center_CD = self.x_ND[rng.integers(len(self.x_ND), size=CANDIDATES)]
        any_CD = rng.random(shape)
        moved_CD = center_CD + self.width_D * rng.standard_normal(shape)
        option_CD = np.where(rng.random(shape) < self.width_D, any_CD, center_CD)
        near_CD = np.where(self.options_D > 0, option_CD, reflected(moved_CD))
        return np.where(rng.random((CANDIDATES, 1)) < UNIFORM, any_CD, near_CD)

    def log(self, x_CD: Floats) -> Floats:
        """Logarithm of the density at points ``(C, D)``, up to a constant."""
        x_CE, x_NE, log_top = self._embed(x_CD), self._embed(self.x_ND), self._log_top()
        near_C = np.exp(log_top - 0.5 * squared_distances(x_CE, x_NE)).mean(axis=1)
        log_C: Floats = np.log((1 - UNIFORM) * near_C + UNIFORM)
        return log_C

    def _embed(self, x_CD: Floats) -> Floats:
        """Move points to where a kernel is ``exp(-0.5 * distance ** 2)`` times its peak."""
        columns = []
        for x_C, width, count in zip(x_CD.T, self.width_D, self.options_D, strict=True):
            if not count:
                columns.append(x_C[:, None] / width)
                continue
            ratio = (count * (1 - width) + width) / width  # same option to another one
            columns.append(is_option(x_C, count) * math.sqrt(math.log(ratio)))
        return np.concatenate(columns, axis=1)

    def _log_top(self) -> float:
        """Logarithm of a kernel at its center, where the uniform density is 1."""
        number_D = 1 / (self.width_D * math.sqrt(2 * math.pi))
        choice_D = self.options_D * (1 - self.width_D) + self.width_D
        return float(np.log(np.where(self.options_D > 0, choice_D, number_D)).sum())
