"""Compile a network (`torch.compile`) if that makes its training faster: an A/B within it.

A slice of the training compiles the network while it trains, and a few more measure it: all that is
at stake is the time to compile. Each image size has code of its own, so it is decided for each.
"""

import logging
import math
import os
import statistics
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, Self, final

import torch

from tunesmith.core.settings import AUTO
from tunesmith.data.builtin import cache
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.training.pacing import Pacing
from tunesmith.models.build import FAMILIES
from tunesmith.records.events import CompilingChanged
from tunesmith.training.epoch import TrainData
from tunesmith.training.slice import Outcome, SliceResult

# Seconds left for images of one size, from which on compiling is tried. On CPUs, it takes up to a
# minute, and `convnet` is slower for it (`benchmarks/engine.py`): there, it is for users' own
# networks, and an attempt may take a few hundredths of the time.
WORTH_S = {"cpu": 3600.0, "cuda": 300.0}
COMPILING_SHARE = 0.1  # of the time left: beyond it, compiling is given up
BEFORE, AFTER = 5, 3  # slices that measure the speed without and with compiling
FASTER = 1.03  # speed-up from which on a network stays compiled; by less, equal speeds differ too
TOLD = 200  # characters of an error
TRIED = "`torch.compile` is tried, which may take a minute or two."
FAILED = {Outcome.DIVERGED, Outcome.OUT_OF_MEMORY}
KILLED = "`torch.compile` is not tried again, since the process ended in the middle of it."


class Stage(Enum):
    """How slices run."""

    EAGER = "not compiled"
    COMPILING = "compiled for the first time, which takes a while"
    MEASURING = "compiled, to measure the speed"
    COMPILED = "compiled, since that is faster"
    OFF = "not compiled, for the rest of the training"


@final
@dataclass(frozen=True, kw_only=True)
class Contest:
    """Comparison of the speeds with and without compiling, for one image size.

    Attributes:
        scale: Side of the images, relative to their own.
        stage: How slices run.
        rates: Images/s of the last slices in this stage.
        eager: Images/s without compiling; 0 until it is measured.

    Example:
        >>> contest = Contest(scale=1.0)
        >>> for rate in (100, 101, 99, 100, 100, 10, 120, 121, 119):
        ...     contest = contest.before(1.0, is_worth=True).after(rate)
        >>> contest.stage.name, contest.speedup
        ('COMPILED', 1.2)

    """

    scale: float
    stage: Stage = Stage.EAGER
    rates: tuple[float, ...] = ()
    eager: float = 0.0

    @property
    def is_compiled(self) -> bool:
        """Whether slices run compiled."""
        return self.stage in {Stage.COMPILING, Stage.MEASURING, Stage.COMPILED}

    @property
    def speedup(self) -> float:
        """Speed with compiling over that without."""
        return statistics.median(self.rates) / self.eager

    def before(self, scale: float, *, is_worth: bool) -> Self:
        """Decide how the next slice runs.

        Args:
            scale: Side of the images at its start, relative to their own.
            is_worth: Whether enough time is left for compiling to pay.
        """
        if self.stage is Stage.OFF:
            return self
        if scale != self.scale:
            return type(self)(scale=scale)
        if self.stage is Stage.EAGER and len(self.rates) == BEFORE and is_worth:
            eager = statistics.median(self.rates)
            return replace(self, stage=Stage.COMPILING, rates=(), eager=eager)
        return self

    def after(self, rate: float) -> Self:
        """Take the images/s of a slice into account.

        Compiled code is left as soon as it is slower than the network was without: its number of
        threads is fixed, and another process may have begun to keep the cores busy. It is tried
        again later, and need not be compiled again then.
        """
        if self.stage is Stage.COMPILING:  # the rate is the compiler's
            return replace(self, stage=Stage.MEASURING)
        now = replace(self, rates=(*self.rates, rate)[-BEFORE:])
        if self.stage is Stage.MEASURING and len(now.rates) == AFTER:
            return replace(now, stage=Stage.COMPILED if now.speedup >= FASTER else Stage.OFF)
        if self.stage is Stage.COMPILED and max(now.rates[-2:]) < self.eager:  # no mere hiccup
            return self.again()
        return now

    def again(self) -> Self:
        """Begin again, unless compiling was given up for good."""
        return self if self.stage is Stage.OFF else type(self)(scale=self.scale)


class TrainSlice(Protocol):
    """`train_slice` with all other arguments given."""

    def __call__(self, *, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        """Train the slice."""
        ...


@final
@dataclass(kw_only=True)
class Compiling:
    """Runs and measures the slices of a training, compiled if that is faster.

    Attributes:
        session: Session of this process.
        name: Name of the training.
        pacing: Measures the slices; the number of threads is fixed while they run compiled.
        worth_s: Seconds left from which on compiling is tried; see `worth_s`.
        contest: What was measured and decided.
        late_at: When compiling has taken too long, on the run's clock.
        counts: Whether the last slice's speed tells how fast training is.
        changed: Whether the next slice may have another speed than the last one.
    """

    session: Session
    name: str
    pacing: Pacing
    worth_s: float
    contest: Contest = Contest(scale=0.0)
    late_at: float = math.inf
    counts: bool = True
    changed: bool = False

    def run(
        self,
        train: TrainSlice,
        data: TrainData,
        *,
        scale: float,
        left_s: float,
        stop: Callable[[], bool],
    ) -> SliceResult:
        """Train a slice; if compiled code fails in any way, train it again without.

        Args:
            train: Trains the slice.
            data: Training data.
            scale: Side of the images at the slice's start, relative to their own.
            left_s: Seconds for which images keep that size.
            stop: Called before each batch; True ends the slice there.
        """
        is_worth = left_s >= self.worth_s and self.pacing.is_steady
        was, self.contest = self.contest, self.contest.before(scale, is_worth=is_worth)
        compiles = self.contest.stage is Stage.COMPILING
        if compiles and was.stage is Stage.EAGER:
            now = self.session.clock.elapsed()  # part of the note, as equal ones are noted once
            size = f"images at {100 * scale:.0f} % of their side, after {now:.0f} s"
            self.session.note(f"{self.name}, {size}: {TRIED}")
            self.late_at = now + COMPILING_SHARE * left_s
        if self.contest.is_compiled:
            if compiles:
                self.session.record(CompilingChanged(trial=self.name, state="begun"))
            found = _compiled(train, data, lambda: stop() or self._is_late())
            if compiles:
                self.session.record(CompilingChanged(trial=self.name, state="over"))
            if isinstance(found, SliceResult):
                return found
            self.pacing.begin()
            result = train(data=data, stop=stop)
            if result.outcome in FAILED:  # without compiling too, which is not to blame
                self.contest = self.contest.again()
            else:
                self._give_up(found)
            return result
        return train(data=data, stop=stop)

    def end(self, examples: int) -> None:
        """End the slice, in which so many examples were seen, and decide by its speed."""
        was = self.contest
        self.pacing.end(examples, adapts=not was.is_compiled)
        rate = examples / self.pacing.took_s
        self.contest = was.again() if self.pacing.changed else was.after(rate)
        self.counts = was.stage is not Stage.COMPILING
        self.changed = self.pacing.changed or self.contest.stage is not was.stage
        if was.stage is Stage.COMPILING:
            took_s, now = self.pacing.took_s - examples / was.eager, self.session.clock.elapsed()
            self.session.note(f"{self.name}: compiling took {took_s:.0f} s, until {now:.0f} s.")
            if now >= self.late_at:
                self._give_up(f"it took more than {100 * COMPILING_SHARE:.0f} % of the time left")
        elif was.stage is Stage.MEASURING and self.changed:
            self._tell()

    def _is_late(self) -> bool:
        is_compiling = self.contest.stage is Stage.COMPILING
        return is_compiling and self.session.clock.elapsed() >= self.late_at

    def _give_up(self, why: str) -> None:
        self.contest = replace(self.contest, stage=Stage.OFF)
        if not self.session.interrupted.is_set():  # Ctrl-C ends a compiler too
            self.session.record(CompilingChanged(trial=self.name, state="given up"))
            self.session.note(f"{self.name} is trained without `torch.compile`: {why}.")

    def _tell(self) -> None:
        found = f"{self.contest.speedup:.2f} times as fast"
        if self.contest.stage is Stage.OFF:
            self._give_up(f"with it, it is {found}")
            return
        self.session.note(
            f"Compiled, {self.name} trains {found}: {self.contest.eager:,.0f} images/s before, "
            f"{statistics.median(self.contest.rates):,.0f} now."
        )


def worth_s(session: Session, name: str, device: torch.device) -> float:
    """Seconds left from which on compiling a training's network is tried; infinite if it never is.

    It never is where results may not depend on time (compiled code rounds otherwise), where it is
    known not to pay, where PyTorch's own switch is off, and in a training that went on without
    before it was resumed. If the process was killed by it, a resumed one would be again.
    """
    trials = session.journal.history.trials
    states = {trial: past.compiling for trial, past in trials.items()}
    if states.get(name) == "begun":
        session.note(KILLED)
    is_known = device.type == "cpu" and session.settings.model in {AUTO, *FAMILIES}
    is_off = os.environ.get("TORCH_COMPILE_DISABLE") == "1"
    is_decided = "begun" in states.values() or states.get(name) == "given up"
    if session.settings.is_timeless or is_known or is_off or is_decided:
        return math.inf
    return WORTH_S.get(device.type, math.inf)


def _compiled(train: TrainSlice, data: TrainData, stop: Callable[[], bool]) -> SliceResult | str:
    """Train a slice compiled; if it fails, return why."""
    compiled = replace(data, compute=replace(data.compute, compiled=True))
    try:
        # Not PyTorch's default: code in a folder of /tmp may be anyone's.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache("compiled")))
        with _quiet():
            result = train(data=compiled, stop=stop)
    except Exception as error:  # noqa: BLE001 (if the network is at fault, it fails again, without)
        what, *_ = str(error).split("\n\n")  # behind it is advice for developers
        return f"{type(error).__name__}: {textwrap.shorten(what, TOLD)}"
    if result.outcome in FAILED:
        return str(result.outcome.value)
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of torch's compiler; what fails is told as a note."""
    loggers = [
        logging.getLogger(f"torch.{name}") for name in ("_dynamo", "_functorch", "_inductor")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
