"""Search for better settings than the plan's, in a folder of its own inside the run's."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Space
from tunesmith.evaluation.metrics import METRICS
from tunesmith.execution.machine import Machine, measure
from tunesmith.execution.processes import Processes
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.search import SCHEDULERS, sampler_named
from tunesmith.jobs.session import Session
from tunesmith.jobs.shared import share
from tunesmith.jobs.space import applied, training_space
from tunesmith.records.journal import Journal
from tunesmith.tuning.protocols import History
from tunesmith.tuning.tuner import Search, Tuner

FOLDER, DATA, TRIALS, LOG = "search", "data", "trials", "workers.log"
SLICE = "tunesmith.jobs.shared:train"
LEAST_S = 1.0  # that a search gets, however late it is
MEMORY_SHARE = 0.8  # of the machine's memory, for all workers together
DISK_SHARE = 0.25  # of the free disk, for what paused trials keep
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
    """

    space: Space
    history: History
    number: int | None
    sign: int
    seconds: float
    reason: str

    def tuned(self, candidate: Candidate) -> Candidate | None:
        """The candidate with the settings that were found."""
        if self.number is None:
            return None
        chosen = applied(candidate.chosen, self.history.trials[self.number].config)
        return replace(candidate, chosen=chosen, number=self.number)


def search(session: Session, candidate: Candidate, *, ends_at: float) -> Searched:
    """Search, or go on with it, until a moment of the run's clock.

    Raises:
        MissingExtraError: The sampler needs a package that is not installed.
    """
    planned, folder = candidate.chosen.search, session.folder / FOLDER
    assert planned is not None
    machine = measure(session.folder)
    space = training_space(candidate.family, candidate.chosen, session.settings)
    what = _search(session, candidate, space, machine)
    _share(session, candidate, folder / DATA)
    memory = int(MEMORY_SHARE * machine.memory_bytes / planned.workers)
    with Journal(folder) as journal:
        spent = journal.history.elapsed
        left = max(LEAST_S, ends_at - session.clock.elapsed())
        tuner = Tuner(
            what,
            folder=folder / TRIALS,
            executor=Processes(planned.workers, memory_bytes=memory, log=folder / LOG),
            clock=(clock := Clock(budget=spent + left, spent=spent)),
            journal=journal,
            say=session.terminal.say,
            interrupted=session.interrupted,
        )
        try:
            reason = tuner.run()
        except SettingsError as error:  # all failed alike: the plan's own settings remain
            reason = str(error)
            session.note(reason)
        seconds = clock.elapsed()
    return Searched(
        space=space,
        history=tuner.history,
        number=_best(tuner.history),
        sign=what.sign,
        seconds=seconds,
        reason=reason,
    )


def _search(session: Session, candidate: Candidate, space: Space, machine: Machine) -> Search:
    planned, settings = candidate.chosen.search, session.settings
    assert planned is not None
    numbers = sum(p.numel() for p in candidate.builder(candidate.prepared.train)().parameters())
    room = int(DISK_SHARE * machine.disk_free_bytes / (KEPT_BYTES * numbers))
    trials = max(2, room if planned.trials is None else planned.trials)
    return Search(
        function=SLICE,
        space=space,
        horizon=planning.UNITS,
        sign=-1 if METRICS[settings.metric].greater_is_better else 1,
        sampler=sampler_named(settings.sampler),
        scheduler=SCHEDULERS[settings.scheduler],
        block=planning.UNITS if settings.scheduler == "none" else 1,
        trials=trials,
        units=None if planned.trials is None else planning.UNITS_EACH * trials,
        is_finished=False,  # what is handed over is trained afterwards
        seed=settings.seed,
    )


def _share(session: Session, candidate: Candidate, folder: Path) -> None:
    prepared = candidate.prepared
    data, held = prepared.train, prepared.split.validation
    if prepared.split.folds is not None:
        data, held = prepared.without_fold(0)
    settings = session.settings
    share(folder, candidate, data, held, metric=settings.metric, device=settings.device)


def _best(history: History) -> int | None:
    """The trial with the best value, the plan's own settings aside."""
    values = {
        number: trial.best
        for number, trial in enumerate(history.trials)
        if number and trial.failed is None and math.isfinite(trial.best)
    }
    return min(values, key=lambda number: values[number], default=None)
