"""Known configs first, then another sampler."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.space import Config, Space, check_values, complete
from tunesmith.tuning.protocols import History, Sampler


@final
@dataclass(frozen=True)
class Portfolio:
    """Proposes known configs in order, and then what another sampler proposes.

    Attributes:
        configs: Known configs; the first is trial 0. Missing fields get their default.
        then: Sampler of all further configs. It sees how the known ones did.
    """

    configs: Sequence[Config]
    then: Sampler

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`.

        Raises:
            SettingsError: A config of the portfolio does not fit the space.
        """
        number = len(history.trials)
        if number >= len(self.configs):
            return dict(self.then(space, history, seed=seed))
        check_values(space, self.configs[number])
        return complete(space, self.configs[number])
