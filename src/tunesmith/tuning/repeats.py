"""Train configs again, to measure the noise between trainings.

Equal configs give different values: initial weights, the order of the examples and all other random
choices differ with the seed. This noise is measured, not estimated from similar trials.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from tunesmith.core.space import Config, Space
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History
from tunesmith.tuning.search import Search

SHARE = 0.05  # share of a search that this may take
TIMES = 2  # how often each config is trained again


@final
@dataclass(frozen=True, kw_only=True)
class Noise:
    """Values of trainings of equal configs.

    Attributes:
        at: Units of each training.
        values: By the number of each trial that was trained again: its value in the search,
            followed by those of its repetitions.
        chosen: Number of the trial that was chosen by its value; None if none was.
    """

    at: int
    values: Mapping[int, tuple[float, ...]]
    chosen: int | None

    @property
    def deviation(self) -> float:
        """Standard deviation between trainings of one config, pooled over all of them.

        For the chosen trial, the value in the search does not count: it is the best of many.
        """
        groups = self._groups
        squares = [sum((v - statistics.fmean(group)) ** 2 for v in group) for group in groups]
        return math.sqrt(sum(squares) / sum(len(group) - 1 for group in groups))

    @property
    def trainings(self) -> int:
        """Number of trainings that the deviation is based on."""
        return sum(map(len, self._groups))

    @property
    def _groups(self) -> list[tuple[float, ...]]:
        """Values of trainings of one config each, as far as nothing was chosen by them."""
        return [v[1:] if number == self.chosen else v for number, v in self.values.items()]


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
        """Propose the next config; see `Sampler`."""
        return self.configs[len(history.trials)]


def comparable_at(history: History, numbers: Sequence[int], *, workers: int = 1) -> int:
    """Units of training after which trials were all measured, and can be trained again.

    Args:
        history: The trials.
        numbers: Numbers of the trials to train again.
        workers: Number of workers. If there are more of them than trainings, some are idle
            meanwhile.

    Returns:
        The most units within the share of the search; 0 if there are none.
    """
    spent, runs = sum(trial.at for trial in history.trials), TIMES * len(numbers)
    each = SHARE * min(1.0, runs / workers) * spent / runs
    measured = [{o.at for o in history.trials[number].curve} for number in numbers]
    return max((at for at in set.intersection(*measured) if at <= each), default=0)


def search_again(search: Search, configs: Sequence[Config], *, at: int) -> Search:
    """Define a search that trains each of some configs in one go."""
    return replace(
        search,
        sampler=Listed(configs),
        scheduler=FULL,
        horizon=at,
        block=at,
        trials=len(configs),
        units=None,
        repeats=True,
        reserves_time_to_finish=False,
    )


def noise_of(
    history: History, again: History, numbers: Sequence[int], *, chosen: int | None
) -> Noise | None:
    """Combine the values of repeated trainings with those of the search.

    Args:
        history: History of the search.
        again: History of the repetitions: equally many per trial, one trial after the other.
        numbers: Numbers of these trials in the search.
        chosen: See `Noise`.

    Returns:
        The noise; None if too few repetitions have a value.
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
    return Noise(at=at, values=values, chosen=chosen) if values else None
