"""What a tuner knows, as values, and its two decisions, as functions of these.

Training is counted in units, from 0 to the horizon, whatever these are. Lower values are better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self, final

import numpy as np

from tunesmith.core.space import Config, Space
from tunesmith.tuning.habits import Fall, Forecast, Habits
from tunesmith.tuning.scale import Scale
from tunesmith.tuning.table import Row, Table

FORECAST_FROM = 4  # units of training from which on a forecast can be compared with what came


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A measured value, and the units of training before it."""

    at: int
    value: float


@final
@dataclass(frozen=True, kw_only=True)
class Trial:
    """A config with its history.

    Attributes:
        config: Values of the active fields.
        curve: Measurements, in order of training.
        seconds: Seconds of training.
        latest_s: Seconds per unit in its latest slice.
        until: Units at which the running slice will pause; None if none is running.
        failed: Why it failed; None if it has not.
        failure: Kind of the failure, as of an `Outcome`; empty if it has not failed.
        is_dropped: Whether its folder was removed, mostly to free disk space, so that it can
            neither be resumed nor be the result.
    """

    config: Config
    curve: tuple[Observation, ...] = ()
    seconds: float = 0.0
    latest_s: float = 0.0
    until: int | None = None
    failed: str | None = None
    failure: str = ""
    is_dropped: bool = False

    @cached_property
    def at(self) -> int:
        """Units of training so far."""
        return self.curve[-1].at if self.curve else 0

    @cached_property
    def unit_s(self) -> float:
        """Seconds that its next unit may take: as the latest ones, if these were slower; 0 if none.

        It may have trained alone so far, and train beside others by now.
        """
        return max(self.seconds / self.at, self.latest_s) if self.at else 0.0

    @property
    def is_tried(self) -> bool:
        """Whether it came to anything: a measurement, or a failure."""
        return bool(self.curve) or self.failed is not None

    def is_over(self, horizon: int) -> bool:
        """Whether it has failed, or was trained to the end."""
        return self.failed is not None or self.at >= horizon

    @property
    def last(self) -> float:
        """Last measured value; infinite if there is none."""
        return self.curve[-1].value if self.curve else math.inf

    @cached_property
    def best(self) -> float:
        """Lowest measured value; infinite if there is none."""
        return self.best_until(self.at)

    @cached_property
    def row(self) -> Row:
        """What decisions read of it."""
        return self.row_after(self.at)

    def row_after(self, at: int) -> Row:
        """As `row`, but with what the curve was after ``at`` units, and the seconds of that."""
        reached, share = self._measured_until(at), min(1.0, at / self.at) if self.at else 1.0
        before, after, folds = self._fall_until(reached)
        return Row(
            at=reached,
            until=self.until or reached,
            seconds=self.seconds * share,
            unit_s=self.unit_s,
            first=self.curve[0].value if self.curve else math.inf,
            last=self.last,
            best=after,
            before=before,
            after=after,
            folds=folds,
            is_failed=self.failed is not None,
            is_dropped=self.is_dropped,
            is_idle=self.until is None and self.failed is None and not self.is_dropped,
        )

    @cached_property
    def forecasts(self) -> tuple[Forecast, ...]:
        """What was to be expected by how it fell, and what came: after each doubling.

        Where a doubling ends between two measurements, after the first of these.
        """
        found, double = [], 2 * self.curve[0].at if self.curve else 1
        while 2 * double <= self.at:
            at = self._measured_until(double)
            fall = self._fall_until(at)
            if 2 * at > double and math.isfinite(fall.before):
                found.append(Forecast(*fall, since=math.log(self.at / at), now=self.best))
            double *= 2
        return tuple(found)

    def best_until(self, at: int) -> float:
        """Lowest value in the first ``at`` units of training; infinite if there is none."""
        values = [o.value for o in self.curve if o.at <= at and math.isfinite(o.value)]
        return min(values, default=math.inf)

    def _fall_until(self, at: int) -> Fall:
        """How it had fallen after ``at`` units, at which there is a value."""
        before = self.best_until(at // 2)
        # The lowest value may be older than the last one, but was still the lowest there.
        folds = math.log(at / self._measured_until(at // 2)) if math.isfinite(before) else math.nan
        return Fall(before, self.best_until(at), folds)

    def _measured_until(self, at: int) -> int:
        """Units before the last value in the first ``at`` units of training; 0 without one."""
        return max((o.at for o in self.curve if o.at <= at), default=0)

    def after(self, at: int) -> Self:
        """The trial as it was after ``at`` units of training, if all units took equally long."""
        curve = tuple(o for o in self.curve if o.at <= at)
        return replace(self, curve=curve, seconds=self.seconds * min(1.0, at / max(1, self.at)))


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """Everything a decision may depend on.

    Attributes:
        horizon: Units of a full training.
        trials: Trials in the order of their start; a trial's number is its index.
    """

    horizon: int
    trials: tuple[Trial, ...] = ()

    def started(self, config: Config, *, until: int) -> Self:
        """Add a trial that trains until ``until`` units."""
        trial = Trial(config=config, until=until)
        return self._having((*self.trials, trial), lambda table: table.added(trial.row))

    def resumed(self, number: int, *, until: int) -> Self:
        """Mark a trial as training until ``until`` units."""
        return self._with(number, replace(self.trials[number], until=until))

    def observed(self, number: int, curve: tuple[Observation, ...], *, seconds: float) -> Self:
        """Add what a slice measured to its trial, which pauses."""
        trial = self.trials[number]
        assert all(o.at > trial.at for o in curve), "a curve goes on where it ended"
        return self._with(
            number,
            replace(
                trial,
                curve=(*trial.curve, *curve),
                seconds=trial.seconds + seconds,
                latest_s=seconds / (curve[-1].at - trial.at) if curve else trial.latest_s,
                until=None,
            ),
        )

    def failed(self, number: int, reason: str, failure: str = "") -> Self:
        """Mark a trial as failed."""
        trial = self.trials[number]
        return self._with(number, replace(trial, until=None, failed=reason, failure=failure))

    def dropped(self, number: int) -> Self:
        """Mark the folder of a trial as removed; its measurements still count."""
        return self._with(number, replace(self.trials[number], is_dropped=True))

    @cached_property
    def table(self) -> Table:
        """What decisions read of the trials."""
        return Table.of([trial.row for trial in self.trials])

    @cached_property
    def measured(self) -> tuple[int, ...]:
        """Numbers of the trials that have a finite value and have not failed."""
        is_sound_N = np.isfinite(self.table.best_N) & (self.table.is_failed_N == 0)
        return tuple(np.flatnonzero(is_sound_N).tolist())

    @cached_property
    def sound(self) -> Table:
        """What decisions read of these."""
        return self.table.take(self.measured)

    @cached_property
    def scale(self) -> Scale:
        """On which their values are compared: found once, for the scheduler and the sampler."""
        return Scale.of(self.sound.best_N)

    @cached_property
    def habits(self) -> Habits:
        """What their curves have in common, on that scale."""
        long_N = np.array(self.measured, np.int64)[self.sound.at_N >= FORECAST_FROM]
        trials = [self.trials[number] for number in long_N.tolist()]
        forecasts = [forecast for trial in trials for forecast in trial.forecasts]
        return Habits.of(self.sound.slopes(self.scale), forecasts, self.scale)

    def paused(self) -> tuple[int, ...]:
        """Numbers of the trials that can be resumed now."""
        return self._paused

    @cached_property
    def _paused(self) -> tuple[int, ...]:
        can_N = (self.table.is_idle_N > 0) & (self.table.at_N < self.horizon)
        return tuple(np.flatnonzero(can_N).tolist())

    def _with(self, number: int, trial: Trial) -> Self:
        trials = (*self.trials[:number], trial, *self.trials[number + 1 :])
        return self._having(trials, lambda table: table.changed(number, trial.row))

    def _having(self, trials: tuple[Trial, ...], change: Callable[[Table], Table]) -> Self:
        """Make a history with other trials, whose table is known if that of this one is."""
        made = replace(self, trials=trials)
        if "table" in vars(self):
            vars(made)["table"] = change(self.table)
        return made


class Sampler(Protocol):
    """Proposes the config of the next trial."""

    def __call__(self, space: Space, history: History, *, seed: int) -> Config:
        """Propose a config, with a value for each active field.

        A pure function: the same arguments give the same config, and there is no state.
        """
        ...


@final
@dataclass(frozen=True)
class Start:
    """Start a new trial, and train it until ``until`` units."""

    until: int


@final
@dataclass(frozen=True)
class Resume:
    """Train a paused trial until ``until`` units."""

    trial: int
    until: int


@final
@dataclass(frozen=True)
class Stop:
    """Start nothing now; once no slice is running, the search is over."""

    reason: str


Decision = Start | Resume | Stop


class Scheduler(Protocol):
    """Decides what a free worker runs."""

    def __call__(self, history: History, *, spent: float, may_start: bool, seed: int) -> Decision:
        """Decide what to run next.

        A pure function of the trials' curves: the same arguments give the same decision.

        Args:
            history: The trials. Decisions must not depend on their configs.
            spent: Share of the budget that is used up, from 0 to 1.
            may_start: Whether another trial may be started.
            seed: Random seed.
        """
        ...
