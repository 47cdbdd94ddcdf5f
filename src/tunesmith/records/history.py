"""A run's history, computed as an incremental fold of its events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

from tunesmith.records.events import (
    BlockDone,
    Chosen,
    CompilingChanged,
    Ended,
    Event,
    Noted,
    Planned,
    SessionStarted,
    SliceDone,
    Stopped,
    Stored,
    TestOpened,
    TrialEnded,
    TrialStarted,
    WorkersChosen,
)


@final
@dataclass(frozen=True, kw_only=True)
class TrialHistory:
    """History of one trial.

    Attributes:
        config: Configuration that the search proposed; None outside of a search.
        slices: Training slices in order; each begins where the previous one ended.
        told_s: When each slice was recorded, in active seconds of the run.
        blocks: Validations, in order.
        ended: Why the trial ended; None if it did not.
        failure: Kind of its failure in a search; empty if it did not fail.
        compiling: How far compiling its network is; ``"begun"`` by an earlier session means that
            the process was killed in the middle. None if it was not tried.
    """

    config: Mapping[str, Any] | None = None
    slices: tuple[SliceDone, ...] = ()
    told_s: tuple[float, ...] = ()
    blocks: tuple[BlockDone, ...] = ()
    ended: str | None = None
    failure: str = ""
    compiling: str | None = None

    @property
    def seen(self) -> int:
        """Number of training examples seen."""
        return self.slices[-1].end if self.slices else 0

    @property
    def checkpoint(self) -> str | None:
        """Checkpoint to resume from; None if there is none."""
        return self.slices[-1].checkpoint if self.slices else None

    @property
    def robust(self) -> bool:
        """Whether the last slice's loss was robust to wrong labels."""
        return bool(self.slices) and self.slices[-1].robust

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return sum(s.seconds for s in self.slices)

    @property
    def latest_s(self) -> float:
        """Seconds per unit in the latest slice; 0 if there is none."""
        if not self.slices:
            return 0.0
        latest = self.slices[-1]
        return latest.seconds / (latest.end - latest.begin)


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """Everything known about a run.

    Attributes:
        sessions: Sessions, that is processes, that worked on the run.
        elapsed: Active seconds, all sessions together.
        past_phases: Seconds by phase in earlier sessions.
        session_phases: Seconds by phase in this session.
        plan: Measurements and decisions; None if there is no plan yet.
        planned: Session in which they were made; a later one may have added a search to the plan.
        trials: History of each trial, by name.
        workers: Number of parallel search processes; None if it was not chosen here.
        chosen: Network chosen for full training; None if none was chosen.
        noted: Messages to the user; of earlier sessions, those that last.
        test_openings: Number of evaluations on the test set.
        ended: How the run ended last; None if it never did.
        stopped: Why an error ended this session; None if none did.
        granted: Session in which the run ended last.
        done: Session in which the run was finished last; if it never was, in which it first ended.
        trained: Session in which a training first ended; it may have been killed afterwards.
    """

    sessions: tuple[SessionStarted, ...] = ()
    elapsed: float = 0.0
    past_phases: Mapping[str, float] = field(default_factory=dict)
    session_phases: Mapping[str, float] = field(default_factory=dict)
    plan: Mapping[str, Any] | None = None
    planned: SessionStarted | None = None
    trials: Mapping[str, TrialHistory] = field(default_factory=dict)
    workers: WorkersChosen | None = None
    chosen: Chosen | None = None
    noted: tuple[Noted, ...] = ()
    test_openings: int = 0
    ended: Ended | None = None
    stopped: str | None = None
    granted: SessionStarted | None = None
    done: SessionStarted | None = None
    trained: SessionStarted | None = None

    def is_extended_by(self, session: SessionStarted) -> bool:
        """Whether a session has more time or trials than the one in which the run was done.

        Sessions that were killed or interrupted on the way there do not count. If it was never
        done, what has ended had the time of the session in which a training first did: what is
        compared with it may not have more.
        """
        former = self.done or self.trained
        if former is None:
            return False
        has_more_trials = (session.trials or 0) > (former.trials or 0)
        return session.budget > former.budget or has_more_trials

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages to the user, and why so many processes search."""
        chosen = [] if self.workers is None else [self.workers.reason]
        return (*chosen, *(note.text for note in self.noted))

    @property
    def phases(self) -> dict[str, float]:
        """Seconds by phase, over all sessions."""
        return _add(self.past_phases, self.session_phases)


def _add(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: a.get(name, 0.0) + b.get(name, 0.0) for name in {**a, **b}}


def fold(history: History, stored: Stored) -> History:
    """Add one event.

    A slice counts once, even if it is recorded repeatedly. A slice that begins before the trial's
    end rolls the trial back: it replaces the slices from there on. A slice that begins after the
    trial's end is impossible, and is ignored.
    """
    event = stored.event
    history = replace(history, elapsed=max(history.elapsed, stored.elapsed))
    if isinstance(event, SessionStarted):
        history = replace(history, past_phases=history.phases, stopped=None)
        noted = tuple(note for note in history.noted if note.lasting)
        history = replace(history, sessions=(*history.sessions, event), noted=noted)
    history = replace(history, session_phases=dict(stored.phases))
    return replace(history, **_changes(history, event, stored.elapsed))


def _changes(history: History, event: Event, elapsed: float) -> dict[str, Any]:
    """Fields of the history that an event changes."""
    fields: dict[str, Any] = {}
    session = history.sessions[-1] if history.sessions else None
    match event:
        case Planned():
            fields |= {"plan": event.plan, "planned": history.planned or session}
        case TrialStarted() | SliceDone() | BlockDone() | TrialEnded() | CompilingChanged():
            trial = _after(history.trials.get(event.trial, TrialHistory()), event, elapsed)
            fields["trials"] = {**history.trials, event.trial: trial}
            fields["trained"] = history.trained or (session if trial.ended else None)
        case WorkersChosen():
            fields["workers"] = event
        case Chosen():
            fields["chosen"] = event
        case Noted():
            fields["noted"] = (*history.noted, event)
        case TestOpened():
            fields["test_openings"] = history.test_openings + 1
        case Stopped():
            fields["stopped"] = event.reason
        case Ended():
            fields |= {"ended": event, "granted": session}
            if event.status == "finished" or history.done is None:
                fields["done"] = session
    return fields


def _after(
    trial: TrialHistory,
    event: TrialStarted | SliceDone | BlockDone | TrialEnded | CompilingChanged,
    elapsed: float,
) -> TrialHistory:
    """Add one event to a trial's history."""
    match event:
        case TrialStarted():
            # Even if it had ended before: what made it fail is mended.
            return replace(trial, config=event.config, ended=None, failure="")
        case SliceDone():
            return _train(trial, event, elapsed)
        case BlockDone():
            blocks = (*(b for b in trial.blocks if b.at < event.at), event)
            return replace(trial, blocks=blocks)
        case TrialEnded():
            after = replace(trial, ended=event.reason, failure=event.failure)
            return after if event.for_good else trial
        case CompilingChanged():
            return replace(trial, compiling=event.state)


def _train(trial: TrialHistory, done: SliceDone, elapsed: float) -> TrialHistory:
    told = any((s.begin, s.end) == (done.begin, done.end) for s in trial.slices)
    if told or done.begin > trial.seen:
        return trial
    kept = tuple(s for s in trial.slices if s.end <= done.begin)
    if done.begin != (kept[-1].end if kept else 0):
        return trial
    told_s = (*trial.told_s[: len(kept)], elapsed)
    return replace(trial, slices=(*kept, done), told_s=told_s, ended=None, failure="")


def replay(events: Iterable[Stored]) -> History:
    """Compute the history from all events of a journal."""
    history = History()
    for stored in events:
        history = fold(history, stored)
    return history
