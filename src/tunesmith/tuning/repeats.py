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
from tunesmith.records.history import History as Past
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import SLACK, makespan

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
    def lead(self) -> float | None:
        """How much better the chosen trial is than trial 0, in standard errors; None if unknown.

        The means of their trainings are compared, without the value for which it was chosen. It is
        unknown unless both were trained again, and if values of equal configs do not differ.

        Example:
            >>> values = {0: (4.0, 5.0, 6.0), 3: (1.0, 4.5, 4.5)}
            >>> round(Noise(at=8, values=values, chosen=3).lead, 2)
            0.67

        """
        if self.chosen in (0, None) or {0, self.chosen} - {*self.values} or not self.deviation:
            return None
        first, others = self.values[0], self.values[self.chosen][1:]
        error = self.deviation * math.sqrt(1 / len(first) + 1 / len(others))
        return (statistics.fmean(first) - statistics.fmean(others)) / error

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


def comparable_at(
    history: History, past: Past, numbers: Sequence[int], *, is_timed: bool, workers: int = 1
) -> int:
    """Units of training at which slices of some trials ended, so that they can be trained again.

    Units between count for nothing: a function may train in one go, and give a whole curve.

    It depends on the search alone, and not on the time that is left when it is asked for: what was
    measured before is found again.

    Args:
        history: The trials.
        past: Journal history of the same trials, with their slices.
        numbers: Numbers of the trials to train again.
        is_timed: Whether time is the limit: then the trainings may be somewhat slower than before.
        workers: Number of workers.

    Returns:
        The most units within the share of the search; 0 if there are none.
    """
    ends = [{done.end for done in past.trials[str(number)].slices} for number in numbers]
    common = set.intersection(*ends) if ends else set[int]()
    # What these trainings cost is what counts, as they may be slower than others.
    costs = [trial.seconds / max(1, trial.at) for trial in (history.trials[n] for n in numbers)]
    unit = makespan([cost for cost in costs for _ in range(TIMES)], workers)
    unit *= SLACK if is_timed else 1.0
    share = SHARE * sum(trial.seconds for trial in history.trials) / workers
    return max((at for at in common if at * unit <= share), default=0)


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
