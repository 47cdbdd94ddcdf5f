"""Random and quasi-random sampling, which ignores the measurements."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.optional import require
from tunesmith.core.seeds import derive
from tunesmith.core.space import Space
from tunesmith.tuning.cube import decode
from tunesmith.tuning.protocols import History


@final
@dataclass(frozen=True)
class RandomSampler:
    """Independent draws, uniform on the scale of each range."""

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Draw a config; see `Sampler`."""
        rng = np.random.default_rng(derive(seed, "random", len(history.trials)))
        return decode(space, rng.random(len(space)))


@final
@dataclass(frozen=True)
class QuasiRandomSampler:
    """Quasi-random draws, which cover a space more evenly than independent ones.

    A Sobol sequence, scrambled by the seed (Owen 1998).
    """

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Draw a config; see `Sampler`."""
        qmc = require("scipy.stats.qmc", extra="train")
        points = qmc.Sobol(len(space), rng=derive(seed, "quasi-random"))
        if history.trials:
            points.fast_forward(len(history.trials))
        return decode(space, points.random(1)[0])
