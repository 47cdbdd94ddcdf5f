"""Run one training under the clock: slice after slice, each one safe on disk before it counts."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import final

from torch import Tensor, nn

from tunesmith.core.errors import ModelError
from tunesmith.jobs.session import Session
from tunesmith.jobs.stored import load_checkpoint, pack
from tunesmith.records import checkpoint as store
from tunesmith.records.events import BlockDone, SliceDone, TrialEnded
from tunesmith.report.terminal import Progress
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.schedule import Segment, damp, extend, refit, warmup_decay
from tunesmith.training.slice import Checkpoint, Outcome, train_slice

LONGEST_S = 4.0  # of a slice: two are at risk in a crash, the one running and the one being saved
SHORTEST_S = 0.5  # shorter slices cost more in set-up than they tell
VALIDATION_SHARE = 0.025  # of the training time, at most, goes into the learning curve
REMEMBERED = 5  # slices that the speed is judged by
STEPS_BACK = 5  # divergences in a row before a training is given up
REWARM = 0.5  # peak of the learning rate when a finished training is extended

Validate = Callable[[Mapping[str, Tensor]], dict[str, float]]


@final
@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training, as planned.

    Attributes:
        name: In the journal.
        build: Makes the untrained network.
        config: How to train.
        data: What to train on.
        validate: Metrics of averaged weights on images the training does not see; None if there
            are none.
        horizon: Examples after which more would not help; the clock may end it earlier.
        images_per_s: Expected speed, until a slice was measured.
        ends_at: The run's clock, in seconds, when training must be over.
    """

    name: str
    build: Callable[[], nn.Module]
    config: TrainConfig
    data: TrainData
    validate: Validate | None
    horizon: int
    images_per_s: float
    ends_at: float


@final
@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left.

    Attributes:
        checkpoint: The last good one.
        config: As planned, or with the smaller batch that fits.
        reason: Why it ended, in words.
    """

    checkpoint: Checkpoint
    config: TrainConfig
    reason: str


def _segments(
    session: Session, trial: Trial, start: Checkpoint | None, end: int
) -> Sequence[Segment]:
    """Plan the learning rate: from scratch, from an interrupted slice, or beyond a finished end."""
    if start is None:
        return warmup_decay(end, warmup=trial.config.warmup)
    past = session.journal.history.trials[trial.name]
    rate = past.slices[-1].rows[-1]["rate"]
    whole = [Segment(begin=0, end=start.seen, first=1.0, last=rate)]
    if past.ended:
        return extend(whole, seen=start.seen, end=end, peak=REWARM)
    return (*whole, Segment(begin=start.seen, end=end, first=rate, last=0.0))


def run_trial(session: Session, trial: Trial, *, extended: bool = False) -> Trained:
    """Train until the horizon, the trial's end on the clock, or an interruption.

    Between slices the learning rate is fitted again to the time that remains, from the speed
    measured last. A divergence costs one slice and halves the learning rate; want of memory
    halves the batch.

    Args:
        session: The process's session; its journal says what was done before.
        trial: What to train.
        extended: The run was given more time since: a training that ended goes on.

    Raises:
        ModelError: The loss stays no finite number however small the steps.
    """
    start = load_checkpoint(session, trial.name)
    past = session.journal.history.trials.get(trial.name)
    if start and past and past.ended and not extended:
        return Trained(checkpoint=start, config=trial.config, reason=past.ended)
    with ThreadPoolExecutor(1) as saver:
        loop = _Loop(session=session, trial=trial, saver=saver, speed=trial.images_per_s)
        return loop.run(start)


def _smaller(config: TrainConfig) -> TrainConfig:
    if config.batch == 1:
        raise ModelError(
            "Memory ran out with a batch of one image. Choose a smaller network or images."
        )
    return config.model_copy(update={"batch": config.batch // 2})


@final
@dataclass(kw_only=True)
class _Loop:
    """The state of one training between its slices."""

    session: Session
    trial: Trial
    saver: ThreadPoolExecutor
    speed: float
    saving: Future[str] | None = None
    unsaved: SliceDone | None = None
    speeds: list[float] = field(default_factory=list)
    validation_s: float = 0.0
    trained_s: float = 0.0
    best: float | None = None

    def run(self, current: Checkpoint | None) -> Trained:
        trial, session = self.trial, self.session
        config, failures = trial.config, 0
        seen = current.seen if current else 0
        end = max(self._end(seen, config), seen + config.batch)
        segments = _segments(session, trial, current, end)
        while True:
            seen = current.seen if current else 0
            end = self._end(seen, config)
            reason = self._over(seen, end)
            if reason and current:
                self._settle()
                session.record(TrialEnded(trial=trial.name, reason=reason))
                return Trained(checkpoint=current, config=config, reason=reason)
            segments = refit(segments, seen=seen, end=max(end, seen + config.batch))
            until = self._until(seen, max(end, seen + config.batch), config)
            began = session.clock.elapsed()
            result = train_slice(
                config,
                trial.build,
                trial.data,
                CrossEntropy(config.smoothing),
                start=current,
                segments=segments,
                until=until,
                stop=self._stop if current else lambda: False,
            )
            seconds = session.clock.elapsed() - began
            if result.outcome is Outcome.DIVERGED:
                failures += 1
                segments = self._step_back(segments, seen, failures)
            elif result.outcome is Outcome.OUT_OF_MEMORY:
                config = _smaller(config)
                session.note(f"Memory ran out: the batch is now {config.batch} images.")
            elif result.checkpoint and result.checkpoint.seen > seen:
                failures, current = 0, result.checkpoint
                self._keep(current, result.row, seen, seconds)
                self._look(current, result.row, end)

    def _stop(self) -> bool:
        late = self.session.clock.elapsed() >= self.trial.ends_at
        return late or self.session.interrupted.is_set()

    def _over(self, seen: int, end: int) -> str | None:
        """Why training is over, in words; None if it is not."""
        if self.session.interrupted.is_set():
            return "It was interrupted."
        if seen >= self.trial.horizon:
            return "Every image was seen as often as has been found to help."
        if end <= seen:
            return "The time for training was used up."
        return None

    def _end(self, seen: int, config: TrainConfig) -> int:
        """Examples that can be seen by the trial's end at the speed measured last."""
        left = max(0.0, self.trial.ends_at - self.session.clock.elapsed())
        steps = int(self.speed * left * (1 - VALIDATION_SHARE) / config.batch)
        return min(self.trial.horizon, seen + steps * config.batch)

    def _until(self, seen: int, end: int, config: TrainConfig) -> int:
        """End of the next slice: shorter at the start (speed unknown) and towards the end."""
        left = self.trial.ends_at - self.session.clock.elapsed()
        seconds = max(SHORTEST_S, min(LONGEST_S, left / 4, 1.0 if not self.trained_s else left))
        steps = max(1, int(self.speed * seconds / config.batch))
        return min(end, seen + steps * config.batch)

    def _step_back(
        self, segments: Sequence[Segment], seen: int, failures: int
    ) -> Sequence[Segment]:
        if failures > STEPS_BACK:
            raise ModelError(
                f"The loss is no finite number after {seen:,} examples, even with a learning rate "
                f"{2**STEPS_BACK} times smaller. Check the network's operations (division, "
                "logarithm, square root) and its initialization."
            )
        self.session.note(
            f"The loss was no finite number after {seen:,} examples: back to the last good "
            "weights, with half the learning rate."
        )
        return damp(segments, seen=seen, factor=0.5)

    def _settle(self) -> None:
        """Wait until the last checkpoint is on disk, then let its slice count."""
        if self.saving and self.unsaved:
            done = replace(self.unsaved, checkpoint=self.saving.result())
            self.session.record(done)
            keep = {
                t.checkpoint
                for t in self.session.journal.history.trials.values()
                if t.checkpoint is not None
            }
            self.session.journal.flush()
            store.prune(self.session.folder / "checkpoints", keep=keep)
        self.saving = self.unsaved = None

    def _keep(
        self, current: Checkpoint, row: Mapping[str, float], begin: int, seconds: float
    ) -> None:
        """Start saving a slice's checkpoint beside the next slice's training."""
        self._settle()
        self.speeds.append((current.seen - begin) / max(seconds, 1e-6))
        # The median: one slice that met a busy moment must not bring the schedule to its end.
        self.speed = statistics.median(self.speeds[-REMEMBERED:])
        self.trained_s += seconds
        self.unsaved = SliceDone(
            trial=self.trial.name,
            begin=begin,
            end=current.seen,
            seconds=seconds,
            checkpoint="",
            rows=(dict(row),),
        )
        self.saving = self.saver.submit(
            store.save, self.session.folder / "checkpoints", *pack(current)
        )

    def _look(self, current: Checkpoint, row: Mapping[str, float], end: int) -> None:
        """Validate when its share of the time allows, and at the end; show progress."""
        clock, trial = self.session.clock, self.trial
        due = self.validation_s <= VALIDATION_SHARE * self.trained_s
        if trial.validate and (due or current.seen >= end):
            began = clock.elapsed()
            metrics = trial.validate(current.average)
            self.validation_s += clock.elapsed() - began
            self.best = max(self.best or 0.0, metrics["accuracy"])
            self.session.record(BlockDone(trial=trial.name, at=current.seen, metrics=metrics))
        self.session.terminal.row(
            Progress(
                phase=f"training {trial.name}",
                left_s=clock.left(),
                examples=current.seen,
                horizon=max(end, current.seen),
                images_per_s=self.speed,
                loss=row["loss"],
                best_score=self.best,
            )
        )
