"""What a tuner knows, as values, and the two decisions it takes, as functions of them.

Training is counted in units: whole numbers from 0 to the horizon, whatever a unit stands for.
Values are such that lower is better.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self, final

from tunesmith.core.space import Config, Space


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A value, and after how many units of training it was measured."""

    at: int
    value: float


@final
@dataclass(frozen=True, kw_only=True)
class Trial:
    """A config with its history.

    Attributes:
        config: Of the fields that mean anything.
        curve: What was measured, in order of training.
        seconds: Of training.
        until: Where the training that runs now will pause; None if none runs.
        failed: Why it cannot go on; None if it can.
        is_dropped: Whether what it left was removed to make room, so that it cannot go on either.
    """

    config: Config
    curve: tuple[Observation, ...] = ()
    seconds: float = 0.0
    until: int | None = None
    failed: str | None = None
    is_dropped: bool = False

    @property
    def at(self) -> int:
        """Units of training so far."""
        return self.curve[-1].at if self.curve else 0

    @property
    def last(self) -> float:
        """The value measured last; infinite if there is none."""
        return self.curve[-1].value if self.curve else math.inf

    @cached_property
    def best(self) -> float:
        """The lowest value measured; infinite if there is none."""
        return self.best_until(self.at)

    @cached_property
    def slope(self) -> float:
        """How much the lowest value fell for each e-fold of training; NaN if that is not known.

        Measured over the last doubling of the training.
        """
        half = self.best_until(self.at // 2)
        return (half - self.best) / math.log(2) if math.isfinite(half) else math.nan

    def best_until(self, at: int) -> float:
        """The lowest value measured in the first units of training; infinite if there is none."""
        values = [o.value for o in self.curve if o.at <= at and math.isfinite(o.value)]
        return min(values, default=math.inf)

    def after(self, at: int) -> Self:
        """The trial as it was after some units of training, if each took as long as the others."""
        curve = tuple(o for o in self.curve if o.at <= at)
        return replace(self, curve=curve, seconds=self.seconds * min(1.0, at / max(1, self.at)))


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """Everything a decision may depend on.

    Attributes:
        horizon: Units of a full training.
        trials: In the order they were started; a trial's number is its place.
    """

    horizon: int
    trials: tuple[Trial, ...] = ()

    def started(self, config: Config, *, until: int) -> Self:
        """One more trial, which trains until some unit."""
        return replace(self, trials=(*self.trials, Trial(config=config, until=until)))

    def resumed(self, number: int, *, until: int) -> Self:
        """A trial trains on."""
        return self._with(number, replace(self.trials[number], until=until))

    def observed(self, number: int, curve: tuple[Observation, ...], *, seconds: float) -> Self:
        """A trial has trained on, and pauses."""
        trial = self.trials[number]
        assert all(o.at > trial.at for o in curve), "a curve goes on where it ended"
        return self._with(
            number,
            replace(
                trial, curve=(*trial.curve, *curve), seconds=trial.seconds + seconds, until=None
            ),
        )

    def failed(self, number: int, reason: str) -> Self:
        """A trial cannot go on."""
        return self._with(number, replace(self.trials[number], until=None, failed=reason))

    def dropped(self, number: int) -> Self:
        """What a paused trial left is there no more; what was measured of it still counts."""
        return self._with(number, replace(self.trials[number], is_dropped=True))

    def paused(self) -> tuple[int, ...]:
        """Numbers of the trials that could train on now."""
        return tuple(
            number
            for number, trial in enumerate(self.trials)
            if trial.until is None
            and trial.failed is None
            and not trial.is_dropped
            and trial.at < self.horizon
        )

    def _with(self, number: int, trial: Trial) -> Self:
        return replace(self, trials=(*self.trials[:number], trial, *self.trials[number + 1 :]))


class Sampler(Protocol):
    """Proposes the config of the next trial."""

    def __call__(self, space: Space, history: History, *, seed: int) -> Config:
        """Propose a config, with a value for each field that means anything in it.

        A pure function: the same arguments give the same config, and there is no state to lose.
        """
        ...


@final
@dataclass(frozen=True)
class Start:
    """Start a new trial, and train it until some unit."""

    until: int


@final
@dataclass(frozen=True)
class Resume:
    """Train a paused trial until some unit."""

    trial: int
    until: int


@final
@dataclass(frozen=True)
class Stop:
    """Run nothing more now; once nothing else runs, the search is over."""

    reason: str


Decision = Start | Resume | Stop


class Scheduler(Protocol):
    """Decides what a free worker does."""

    def __call__(self, history: History, *, spent: float, may_start: bool, seed: int) -> Decision:
        """Decide what to run next.

        A pure function of the trials' curves: the same arguments give the same decision.

        Args:
            history: The trials. Their configs are none of its business.
            spent: Share of the budget that is used up, from 0 to 1.
            may_start: Whether there may be one more trial.
            seed: Of everything random.
        """
        ...
