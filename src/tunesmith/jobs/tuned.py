"""Search for better settings than the plan's, in a folder of its own inside the run's."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.seeds import derive
from tunesmith.core.space import Space
from tunesmith.evaluation.metrics import METRICS
from tunesmith.execution.cores import cores
from tunesmith.execution.machine import measure
from tunesmith.jobs.again import train_again
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.limits import COSTLY, KINDS
from tunesmith.jobs.search import SCHEDULERS, remember, sampler_named
from tunesmith.jobs.session import Session
from tunesmith.jobs.shared import share
from tunesmith.jobs.space import applied, training_space
from tunesmith.jobs.workers import choose_workers, processes
from tunesmith.records.events import Ended
from tunesmith.records.journal import Journal
from tunesmith.tuning.again import SHARE, TIMES, Noise
from tunesmith.tuning.near import Near
from tunesmith.tuning.protocols import History
from tunesmith.tuning.recorded import recall
from tunesmith.tuning.tuner import Search, Tuner
from tunesmith.tuning.within import Within

FOLDER, DATA, TRIALS = "search", "data", "trials"
SLICE = "tunesmith.jobs.shared:train"
LEAST_S = 1.0  # that a search gets, however late it is
MEMORY_SHARE = 0.8  # of the machine's memory, for all workers together
DISK_SHARE, DISK_MOST = 0.25, 4e9  # of the free disk, and bytes, for what paused trials keep
KEPT_BYTES = 16  # for each of a network's numbers: itself, its average, and the optimizer's two


@final
@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes:
        space: Of its settings.
        history: Its trials, the plan's own settings first.
        number: Of the best of the others; None if none has a value.
        sign: 1 if values are such that lower is better, as those of the history, -1 if the metric
            is the other way round.
        seconds: That it took.
        reason: Why it ended, in words.
        noise: By how much values of equal settings differ; None if that was not measured.
    """

    space: Space
    history: History
    number: int | None
    sign: int
    seconds: float
    reason: str
    noise: Noise | None

    def tuned(self, candidate: Candidate) -> Candidate | None:
        """The candidate with the settings that were found."""
        if self.number is None:
            return None
        chosen = applied(candidate.chosen, self.history.trials[self.number].config)
        return replace(candidate, chosen=chosen, number=self.number)


def search(session: Session, candidate: Candidate, *, ends_at: float, extended: bool) -> Searched:
    """Search, or go on with it, until a moment of the run's clock; once it is over, it stays so.

    Args:
        session: The process's session.
        candidate: The plan whose settings are searched around, and the network.
        ends_at: The run's clock, in seconds, when it must be over.
        extended: The run was given more time since: a search that was over goes on.
    """
    folder = session.folder / FOLDER
    space = training_space(candidate.family, candidate.chosen, session.settings)
    left_s = ends_at - session.clock.elapsed()
    _share(session, candidate, folder / DATA)
    what = _search(session, candidate, space)
    remember(folder, what)
    with Journal(folder) as journal:
        ended = journal.history.ended
        if ended is None or ended.status != "finished" or extended:
            until = ends_at - SHARE * left_s
            ended = _run(session, candidate, what, journal, ends_at=until)
        past = journal.history
    history = recall(past, horizon=what.horizon, sign=what.sign, is_timed=what.units is None)
    return Searched(
        space=space,
        history=history,
        number=_best(history),
        sign=what.sign,
        seconds=past.elapsed,
        reason=ended.reason,
        noise=_noise(session, candidate, what, history, ends_at=ends_at),
    )


def _run(
    session: Session, candidate: Candidate, what: Search, journal: Journal, *, ends_at: float
) -> Ended:
    """Let a tuner search; its clock counts the seconds of the search alone."""
    assert candidate.chosen.search is not None
    folder = session.folder / FOLDER
    workers = session.settings.workers or candidate.chosen.search.workers
    spent = journal.history.elapsed
    left = max(LEAST_S, ends_at - session.clock.elapsed())
    clock = Clock(budget=spent + left, spent=spent)

    def tuner(what: Search, workers: int) -> Tuner:
        return Tuner(
            what,
            folder=folder / TRIALS,
            executor=processes(workers, folder, memory_share=MEMORY_SHARE),
            clock=clock,
            journal=journal,
            say=session.terminal.say,
            interrupted=session.interrupted,
        )

    try:
        if session.settings.workers is None:
            workers = choose_workers(what, workers, tuner, journal=journal, clock=clock)
        reason = tuner(what, workers).run()
    except SettingsError as error:  # all failed alike: the plan's own settings remain
        reason = str(error)
        session.note(reason)
    status = "interrupted" if session.interrupted.is_set() else "finished"
    ended = Ended(status=status, reason=reason)
    journal.append(ended, elapsed=clock.elapsed())
    return ended


def _noise(
    session: Session, candidate: Candidate, what: Search, history: History, *, ends_at: float
) -> Noise | None:
    """Train the plan's settings and the best others again, with other seeds."""
    assert candidate.chosen.search is not None
    folder, seed = session.folder / FOLDER, candidate.chosen.train.seed
    return train_again(
        what,
        history,
        _best(history),
        [{"train.seed": derive(seed, "again", n)} for n in range(TIMES)],
        folder=folder,
        executor=processes(candidate.chosen.search.workers, folder, memory_share=MEMORY_SHARE),
        clock=Clock(budget=ends_at, spent=session.clock.elapsed()),
        interrupted=session.interrupted,
    )


def _search(session: Session, candidate: Candidate, space: Space) -> Search:
    planned, settings = candidate.chosen.search, session.settings
    assert planned is not None
    numbers = sum(p.numel() for p in candidate.builder(candidate.prepared.train)().parameters())
    free = measure(session.folder).disk_free_bytes
    room = int(min(DISK_MOST, DISK_SHARE * free) / (KEPT_BYTES * numbers))
    costly, kinds = ((), ()) if candidate.family.source else (COSTLY, KINDS)
    trials, is_whole = planned.trials, settings.scheduler == "none"
    each = planning.UNITS if is_whole else planning.UNITS_EACH
    return Search(
        function=SLICE,
        space=space,
        horizon=planning.UNITS,
        sign=-1 if METRICS[settings.metric].greater_is_better else 1,
        sampler=Within(Near(sampler_named(settings.sampler)), costly=costly, kinds=kinds),
        scheduler=SCHEDULERS[settings.scheduler],
        block=planning.UNITS if is_whole else 1,
        trials=max(2, room) if trials is None else trials,
        units=None if trials is None else each * trials,
        is_finished=False,  # what is handed over is trained afterwards
        seed=settings.seed,
    )


def _share(session: Session, candidate: Candidate, folder: Path) -> None:
    prepared = candidate.prepared
    data, held = prepared.train, prepared.split.validation
    if prepared.split.folds is not None:
        data, held = prepared.without_fold(0)
    settings = session.settings
    job: dict[str, Any] = {"metric": settings.metric, "device": settings.device}
    job |= {"limit": dict(settings.limit), "threads": cores()}
    share(folder, candidate, data, held, **job)


def _best(history: History) -> int | None:
    """The trial with the best value, the plan's own settings aside."""
    values = {
        number: trial.best
        for number, trial in enumerate(history.trials)
        if number and trial.failed is None and math.isfinite(trial.best)
    }
    return min(values, key=lambda number: values[number], default=None)
