"""What has proven too costly here is learned, and not proposed again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.errors import LimitError
from tunesmith.core.seeds import derive
from tunesmith.core.space import Config, Space, complete
from tunesmith.execution.executor import raised
from tunesmith.tuning.protocols import History, Sampler

OVER = "over the limit"  # in the message of an error that is raised since a graph is too costly
TRIES = 32  # proposals, after which one is made cheap enough by hand


@final
@dataclass(frozen=True)
class Within:
    """Passes on another sampler's proposals, but none that must be too costly.

    Raising a field that makes a network larger makes it no cheaper. So a config is too costly if
    it is of the kind of one that was, and none of these fields is lower.

    Attributes:
        then: Proposes.
        costly: Fields that cost the more, the higher they are.
        kinds: Fields between whose values nothing is known to cost more.
        reasons: How the reason of each trial begins that was too costly. Further on, it may be the
            user's own words, which prove nothing.
    """

    then: Sampler
    costly: Sequence[str]
    kinds: Sequence[str] = ()
    reasons: Sequence[str] = (raised(LimitError),)

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        over = [t.config for t in history.trials if self._is_reason(t.failed)]
        config = dict(self.then(space, history, seed=seed))
        for attempt in range(1, TRIES):
            if not self._is_costly(config, over):
                return config
            again = derive(seed, "within", attempt)
            config = dict(self.then(space, history, seed=again))
        # The first trial are the defaults, which are within the limits.
        names = [name for name in (*self.costly, *self.kinds) if name in space]
        return complete(space, config | {name: space[name].default for name in names})

    def _is_reason(self, failed: str | None) -> bool:
        return failed is not None and failed.startswith(tuple(self.reasons))

    def _is_costly(self, config: Config, over: Sequence[Config]) -> bool:
        names = [name for name in self.costly if name in config]
        alike = [o for o in over if all(o.get(k) == config.get(k) for k in self.kinds)]
        return bool(names) and any(
            all(config[name] >= other[name] for name in names) for other in alike
        )
