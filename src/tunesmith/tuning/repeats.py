"""Train configs again, to see how much of a difference between trials is chance.

Equal configs give different values: first weights, the order of the examples and all else that is
drawn differ with the seed. That noise is measured, not guessed from trials that are only alike.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from tunesmith.core.space import Config, Space
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History
from tunesmith.tuning.tuner import Search

SHARE = 0.05  # of a search, that it may take
TIMES = 2  # that each config is trained again


@final
@dataclass(frozen=True, kw_only=True)
class Noise:
    """What trainings of equal configs gave.

    Attributes:
        at: Units that each took.
        values: Of each trial that was trained again, by its number: what it gave in the search,
            and what it gave again.
    """

    at: int
    values: Mapping[int, tuple[float, ...]]

    @property
    def deviation(self) -> float:
        """Standard deviation between trainings of one config, pooled over all of them.

        Of what the search found, its value in the search does not count: it was chosen for it.
        """
        groups = [values if number == 0 else values[1:] for number, values in self.values.items()]
        squares = [sum((v - statistics.fmean(group)) ** 2 for v in group) for group in groups]
        return math.sqrt(sum(squares) / sum(len(group) - 1 for group in groups))

    @property
    def trainings(self) -> int:
        """How many the deviation is of."""
        return sum(len(values) - (number != 0) for number, values in self.values.items())


@final
@dataclass(frozen=True)
class Listed:
    """Proposes given configs, one after the other, whatever the space."""

    configs: Sequence[Config]

    def __call__(
        self,
        space: Space,  # noqa: ARG002 (part of the protocol)
        history: History,
        *,
        seed: int,  # noqa: ARG002 (part of the protocol)
    ) -> Config:
        """Propose the next; see `Sampler`."""
        return self.configs[len(history.trials)]


def comparable_at(history: History, numbers: Sequence[int], *, workers: int = 1) -> int:
    """Units of training after which trials were all measured, and which may be trained again.

    Args:
        history: The trials.
        numbers: Of those to be trained again.
        workers: That train at the same time. Where there are more of them than trainings, some have
            nothing to do meanwhile.

    Returns:
        The most that are within the share of the search; 0 if there are none.
    """
    spent, runs = sum(trial.at for trial in history.trials), TIMES * len(numbers)
    each = SHARE * min(1.0, runs / workers) * spent / runs
    measured = [{o.at for o in history.trials[number].curve} for number in numbers]
    return max((at for at in set.intersection(*measured) if at <= each), default=0)


def search_again(search: Search, configs: Sequence[Config], *, at: int) -> Search:
    """What trains each of some configs in one go."""
    return replace(
        search,
        sampler=Listed(configs),
        scheduler=FULL,
        horizon=at,
        block=at,
        trials=len(configs),
        units=None,
        reserves_time_to_finish=False,
    )


def noise_of(history: History, again: History, numbers: Sequence[int]) -> Noise | None:
    """Put what was trained again beside what it gave in the search.

    Args:
        history: Of the search.
        again: Of what was trained again: each trial as often as any other, one after the other.
        numbers: Of these trials in the search.

    Returns:
        None where too little was trained again to say anything.
    """
    at = again.horizon
    values = {}
    for place, number in enumerate(numbers):
        repeated = [
            trial.curve[-1].value
            for trial in again.trials[place * TIMES : (place + 1) * TIMES]
            if trial.at == at and trial.failed is None
        ]
        if len(repeated) == TIMES:
            values[number] = (history.trials[number].after(at).curve[-1].value, *repeated)
    return Noise(at=at, values=values) if values else None
