"""Proposals near the defaults, where these are known to be good."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.seeds import derive
from tunesmith.core.space import Space, complete
from tunesmith.tuning.protocols import History, Sampler

FIRST = 20  # trials; later proposals follow the measurements, wherever these lead
KEPT = 0.7  # share of the fields that keep their default, on average


@final
@dataclass(frozen=True)
class Near:
    """Resets most fields to their default in every second of the first proposals.

    In a space with many fields, a random config is nearly always worse than a tuned recipe. Near
    it, a draw shows what a few changes do (Mallik et al. 2023, "PriorBand", draw from a prior in
    the same way); the other half keeps a wrong recipe from being the limit.

    Attributes:
        then: Sampler whose proposals are changed.
    """

    then: Sampler

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        number = len(history.trials)
        config = dict(self.then(space, history, seed=seed))
        if number >= FIRST or number % 2 == 0:
            return config
        rng = np.random.default_rng(derive(seed, "near", number))
        kept_N = rng.random(len(config)) < KEPT
        kept_N[rng.integers(len(config))] = False  # the defaults themselves were tried before
        changed = {name for name, is_kept in zip(config, kept_N, strict=True) if not is_kept}
        return complete(space, {name: config[name] for name in changed})
