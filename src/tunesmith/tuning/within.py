"""Avoid proposals that must be too costly, by what the trials have shown."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.seeds import derive
from tunesmith.core.space import Config, Space, complete
from tunesmith.tuning.protocols import History, Sampler

OVER = "over the limit"  # in the message of an error that a too costly graph raises
TRIES = 32  # proposals, after which the fields in question are set to their defaults


@final
@dataclass(frozen=True)
class Within:
    """Filters another sampler's proposals: none that must be too costly.

    Raising a field that makes a network larger never makes it cheaper. So a config is too costly if
    it is of the same kind as one that was, and none of these fields is lower.

    Attributes:
        then: Sampler whose proposals are filtered.
        costly: Fields that increase the cost.
        kinds: Fields without a known order of cost.
        failures: Kinds of failures of trials that were too costly; see `Outcome`.
    """

    then: Sampler
    costly: Sequence[str]
    kinds: Sequence[str] = ()
    failures: Collection[str] = ("limit", "late")

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`."""
        over = [trial.config for trial in history.trials if trial.failure in self.failures]
        config = dict(self.then(space, history, seed=seed))
        for attempt in range(1, TRIES):
            if not self._is_costly(config, over):
                return config
            again = derive(seed, "within", attempt)
            config = dict(self.then(space, history, seed=again))
        # The first trial has the defaults, which are within the limits.
        names = [name for name in (*self.costly, *self.kinds) if name in space]
        return complete(space, config | {name: space[name].default for name in names})

    def _is_costly(self, config: Config, over: Sequence[Config]) -> bool:
        names, kinds = ([n for n in part if n in config] for part in (self.costly, self.kinds))
        if not names and not kinds:  # nothing is known that a cost depends on
            return False
        alike = [o for o in over if all(o.get(kind) == config.get(kind) for kind in self.kinds)]
        return any(all(config[name] >= other[name] for name in names) for other in alike)
