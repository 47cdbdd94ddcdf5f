"""Run one training within its time, slice by slice; a slice counts once it is saved."""

import math
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import final

from tunesmith.core.ending import EndReason
from tunesmith.core.errors import ModelError
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.stored import load_checkpoint
from tunesmith.jobs.run.trial import Trained, Trial
from tunesmith.jobs.training.compiling import Compiling, worth_s
from tunesmith.jobs.training.forgive import forgive
from tunesmith.jobs.training.pacing import Pacing
from tunesmith.jobs.training.resuming import rate_ahead, resumed
from tunesmith.jobs.training.saving import Saving
from tunesmith.records.events import BlockDone, SliceDone, TrialEnded
from tunesmith.report.terminal import Progress
from tunesmith.training.config import TrainConfig, halved
from tunesmith.training.epoch import rescaled_at, scale_at
from tunesmith.training.schedule import Segment, damp, refit
from tunesmith.training.slice import Checkpoint, Outcome, SliceResult, train_slice

LONGEST_S = 4.0  # per slice: a crash may lose two, the one running and the one being saved
SHORTEST_S = 0.5  # per slice: setup dominates shorter ones
VALIDATION_SHARE = 0.015  # share of the training time for validation, at most
REMEMBERED = 5  # slices whose median speed counts: a slow one must not end the schedule early
STEPS_BACK = 5  # divergences in a row before a training is given up
WAIT_S = 2.0  # before a batch that has fit is halved: other processes may take memory for seconds
ONE_IMAGE = (
    "Memory ran out after {seen:,} examples of {name}, even with a batch of one image. "
    "Training ends with the last good weights."
)


def run_trial(session: Session, trial: Trial, *, extended: bool = False) -> Trained:
    """Train until the horizon, the trial's end on the clock, or an interruption.

    Between slices, the schedule is refitted to the remaining time at the measured speed. A
    divergence costs one slice and halves the learning rate; running out of memory halves the batch.

    Args:
        session: Session of this process; its journal has the progress so far.
        trial: Training to run.
        extended: Whether the run got a larger budget since, so that a finished training continues.

    Raises:
        ModelError: The loss is not finite from the start, even with a small learning rate.
        OutOfMemoryError: Memory runs out from the start, even with a batch of one image.
    """
    start = load_checkpoint(session, trial.name)
    past = session.journal.history.trials.get(trial.name)
    trial = replace(trial, config=resumed(trial.config, past))
    if start and past and past.ended and not extended:
        return Trained(checkpoint=start, config=trial.config, reason=EndReason(past.ended))
    if start is None and trial.begin:
        start = trial.begin()
    pacing = Pacing(clock=session.clock, is_fixed=_is_fixed(session, trial))
    compile_s = worth_s(session, trial.name, trial.data.compute.device)
    with ThreadPoolExecutor(1) as saver:
        loop = _Loop(
            session=session,
            trial=trial,
            saving=Saving(session=session, saver=saver),
            pacing=pacing,
            compiling=Compiling(session=session, name=trial.name, pacing=pacing, worth_s=compile_s),
            speed=trial.images_per_s,
        )
        return loop.run(start)


def _is_fixed(session: Session, trial: Trial) -> bool:
    """Whether the number of threads is fixed: results may not depend on it, or a GPU trains."""
    return session.settings.is_timeless or trial.data.compute.device.type != "cpu"


def _step_back(
    session: Session, segments: Sequence[Segment], current: Checkpoint | None, failures: int
) -> Sequence[Segment]:
    """Return to the last good weights with half the learning rate or, in the end, give up."""
    seen = current.seen if current else 0
    if failures <= STEPS_BACK:
        session.note(
            f"The loss was no finite number after {seen:,} examples: back to the last good "
            "weights, with half the learning rate."
        )
        return damp(segments, seen=seen, factor=0.5)
    told = (
        f"The loss is no finite number after {seen:,} examples, even with a learning rate "
        f"{2**STEPS_BACK} times smaller."
    )
    check = "Check the network's operations (division, logarithm, square root)"
    if current is None:
        raise ModelError(f"{told} {check} and its initialization.")
    session.note(f"{told} Training ends with the last good weights. {check}.")
    return segments


def _smaller(session: Session, config: TrainConfig, *, has_fit: bool) -> TrainConfig:
    """Halve the batch, with which memory ran out; a moment later, if it has fit before."""
    session.interrupted.wait(WAIT_S if has_fit else 0.0)
    config = halved(config)
    session.note(f"Memory ran out: the batch is now {config.batch} images.")
    return config


def _is_resized(config: TrainConfig, segments: Sequence[Segment], begin: int, end: int) -> bool:
    """Whether images have another size at ``end`` than at ``begin``."""
    return scale_at(config, segments, begin) != scale_at(config, segments, end)


@final
@dataclass(kw_only=True)
class _Loop:
    """The state of one training between its slices."""

    session: Session
    trial: Trial
    saving: Saving
    pacing: Pacing
    compiling: Compiling
    speed: float
    speeds: list[float] = field(default_factory=list)
    validation_s: float = 0.0
    trained_s: float = 0.0
    best: float | None = None

    def run(self, current: Checkpoint | None) -> Trained:
        trial, session = self.trial, self.session
        config, failures = trial.config, 0
        seen = current.seen if current else 0
        end = max(self._end(seen, config), seen + config.batch)
        segments = rate_ahead(session, trial, seen=seen, end=end)
        while True:
            seen = current.seen if current else 0
            end = self._end(seen, config)
            reason = EndReason.DIVERGED if failures > STEPS_BACK else self._over(seen, end)
            if reason and current:
                return self._close(current, config, reason)
            config = forgive(session, trial, config, end)
            self.pacing.begin()
            segments = refit(segments, seen=seen, end=max(end, seen + config.batch))
            until = self._until(seen, max(end, seen + config.batch), config)
            result = self._train(config, segments, current, until)
            if result.outcome is Outcome.DIVERGED:
                failures += 1
                segments = _step_back(session, segments, current, failures)
            elif result.outcome is Outcome.OUT_OF_MEMORY:
                if config.batch == 1 and current:
                    session.note(ONE_IMAGE.format(name=trial.name, seen=seen))
                    return self._close(current, config, EndReason.MEMORY)
                config = _smaller(session, config, has_fit=bool(self.speeds))
            elif result.checkpoint and result.checkpoint.seen > seen:
                failures, current = 0, result.checkpoint
                self.compiling.end(current.seen - seen)
                self._keep(current, result.row, seen, config)
                if self.compiling.changed or _is_resized(config, segments, seen, current.seen):
                    self.speeds.clear()
                self._look(current, result.row, end)

    def _train(
        self, config: TrainConfig, segments: Sequence[Segment], start: Checkpoint | None, until: int
    ) -> SliceResult:
        seen, trial = start.seen if start else 0, self.trial
        train = partial(
            train_slice, config, trial.build, loss=trial.loss(config), start=start,
            segments=segments, until=until,
        )  # fmt: skip
        return self.compiling.run(
            train,
            trial.data,
            scale=scale_at(config, segments, seen),
            left_s=min(self._left(), (rescaled_at(config, segments, seen) - seen) / self.speed),
            stop=self._stop if start else lambda: False,
        )

    def _stop(self) -> bool:
        return self._left() <= 0 or self.pacing.is_over() or self.session.interrupted.is_set()

    def _left(self) -> float:
        """Seconds until the end or a pause."""
        return min(self.trial.ends_at, self.trial.pause_at) - self.session.clock.elapsed()

    def _over(self, seen: int, end: int) -> EndReason | None:
        """Why training is over; None if it is not."""
        if self.session.interrupted.is_set():
            return EndReason.INTERRUPTED
        if seen >= self.trial.horizon:
            return EndReason.HORIZON
        if end <= seen:
            return EndReason.TIME
        return EndReason.PAUSED if self.session.clock.elapsed() >= self.trial.pause_at else None

    def _close(self, current: Checkpoint, config: TrainConfig, reason: EndReason) -> Trained:
        self.saving.settle()
        if reason in {EndReason.PAUSED, EndReason.DIVERGED}:  # an unplanned end, not validated yet
            self._validate(current)
        if reason is not EndReason.PAUSED:
            ended = TrialEnded(trial=self.trial.name, reason=reason, for_good=reason.is_for_good)
            self.session.record(ended)
        return Trained(checkpoint=current, config=config, reason=reason)

    def _end(self, seen: int, config: TrainConfig) -> int:
        """Examples that fit into the time left, at the last measured speed, in whole batches."""
        left = max(0.0, self.trial.ends_at - self.session.clock.elapsed())
        steps = int(self.speed * left * (1 - VALIDATION_SHARE) / config.batch)
        # A halved batch may go beyond the horizon: of one image, batch norm can have no variance.
        rest = math.ceil((self.trial.horizon - seen) / config.batch)
        return seen + min(steps, rest) * config.batch

    def _until(self, seen: int, end: int, config: TrainConfig) -> int:
        """End of the next slice: shorter at the start (speed unknown) and towards the end."""
        left = self._left()
        seconds = max(SHORTEST_S, min(LONGEST_S, left / 4, 1.0 if not self.trained_s else left))
        steps = max(1, int(self.speed * seconds / config.batch))
        return min(end, seen + steps * config.batch)

    def _keep(
        self, current: Checkpoint, row: Mapping[str, float], begin: int, config: TrainConfig
    ) -> None:
        """Start saving a slice's checkpoint, in parallel to the next slice's training."""
        if self.compiling.counts:
            self.speeds.append((current.seen - begin) / self.pacing.took_s)
            self.speed = statistics.median(self.speeds[-REMEMBERED:])
        self.trained_s += self.pacing.took_s
        done = SliceDone(
            trial=self.trial.name,
            begin=begin,
            end=current.seen,
            seconds=self.pacing.took_s,
            checkpoint="",
            rows=(dict(row),),
            robust=config.robust > 0,
            batch=config.batch,
        )
        self.saving.begin(done, current)

    def _look(self, current: Checkpoint, row: Mapping[str, float], end: int) -> None:
        """Validate if its share of the time allows, and at the end; show progress."""
        if self.validation_s <= VALIDATION_SHARE * self.trained_s or current.seen >= end:
            self._validate(current)
        self.session.terminal.row(
            Progress(
                phase=f"training {self.trial.name}",
                left_s=self.session.clock.left(),
                examples=current.seen,
                horizon=max(end, current.seen),
                images_per_s=self.speed,
                loss=row["loss"],
                best_score=self.best,
            )
        )

    def _validate(self, current: Checkpoint) -> None:
        """Add a point to the learning curve, unless it exists."""
        trial, session = self.trial, self.session
        past = session.journal.history.trials.get(trial.name)
        if trial.validate is None or (past and past.blocks and past.blocks[-1].at == current.seen):
            return
        began = session.clock.elapsed()
        metrics = trial.validate(current.average)
        self.validation_s += session.clock.elapsed() - began
        self.best = max(self.best or 0.0, metrics["accuracy"])
        session.record(BlockDone(trial=trial.name, at=current.seen, metrics=metrics))
