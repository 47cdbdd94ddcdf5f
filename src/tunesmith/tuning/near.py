"""Proposals that keep most of the defaults, where these are known to be good."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.seeds import derive
from tunesmith.core.space import Space, complete
from tunesmith.tuning.protocols import History, Sampler

FIRST = 20  # trials; later ones follow what was measured, wherever that leads
KEPT = 0.7  # of the fields, on average


@final
@dataclass(frozen=True)
class Near:
    """Puts the default back into most fields of every second one of the first proposals.

    A draw from all of a space with many fields is nearly always worse than a recipe that somebody
    has worked on. Near to it (Mallik et al. 2023, "PriorBand", draw from a prior in the same way)
    a draw shows what a few changes do; the other half keeps a wrong recipe from being the limit.

    Attributes:
        then: Proposes.
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
