"""Tune any training function: a space, a budget, and a function that trains in slices."""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.core.clock import Clock
from tunesmith.core.functions import Function, end_of_reading, located, reference
from tunesmith.core.settings import TuneSettings, checked
from tunesmith.core.source import Code, file_of, imported_code_of
from tunesmith.core.space import Field, Range
from tunesmith.execution.loading import load_within
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import WORKERS_MOST
from tunesmith.execution.signals import catch_signals
from tunesmith.jobs.search.mending import CODE, charged_s, mendable
from tunesmith.jobs.search.own import NAMED, Own, apart
from tunesmith.jobs.search.repeats import train_again
from tunesmith.jobs.search.search_setup import (
    disk_bytes,
    forget_failures,
    remember,
    search_for,
    space_words,
)
from tunesmith.jobs.search.tune_report import with_report
from tunesmith.jobs.search.tune_result import RESULT, TRIALS, Tuned, tell
from tunesmith.jobs.search.tune_space import space_for
from tunesmith.jobs.search.workers import choose_workers, processes
from tunesmith.records.events import Ended, Noted, Planned, SessionStarted
from tunesmith.records.folder import enter_run, let_differ, write_atomic
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.report.terminal import Terminal
from tunesmith.tuning.failures import failed_in_one_place
from tunesmith.tuning.protocols import History, Sampler, Scheduler
from tunesmith.tuning.repeats import SHARE, TIMES, Noise
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import best_trial
from tunesmith.tuning.tuner import Tuner

LOG = "run.log"  # in the run's folder
DEFAULT_BUDGET_S = 600.0
REPORT_S = 1.0  # kept for the result and its page, if a budget is not so short that it is much
MEMORY_SHARE = 0.9  # share of the machine's memory, for all workers together


def tune(
    function: Function,
    space: Mapping[str, Range | Field] | None = None,
    *,
    budget: str | float | None = None,
    trials: int | None = None,
    horizon: int = 100,
    out: str | Path | None = None,
    sampler: str | Sampler = "auto",
    scheduler: str | Scheduler = "auto",
    workers: int | str = 1,
    maximize: bool = False,
    trust_defaults: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Tuned:
    """Find the best config for a training function of your own.

    ``function(config, folder, start, until)`` trains from ``start`` to ``until`` of ``horizon``
    units (epochs, steps, or percent of a training). It keeps in ``folder`` what it needs to resume.
    It returns the value at ``until``, or a list of values at even steps up to there.

    Worker processes import the function; of a script, they run only what precedes this call.

    Args:
        function: Training function, defined at the top level of a file.
        space: Ranges by name, or fields with a default of your own. Without one, the function's
            first parameter must be annotated with a dataclass of ranged fields.
        budget: Seconds, or a time span such as ``"10m"``; ten minutes, unless ``trials`` is given.
        trials: Maximum number of trials. Without a budget, each is trained to the end.
        horizon: Units of a full training.
        out: Run folder; by default ``runs/NAME``. The same call resumes an unfinished run; with
            more budget or trials, it extends a finished one.
        sampler: ``"auto"``, ``"gp"``, ``"tpe"``, ``"random"``, ``"optuna"`` or ``"hyperopt"``; or
            one of your own: see `tunesmith.tuning.protocols.Sampler`.
        scheduler: ``"auto"``, ``"freeze-thaw"``, ``"asha"`` or ``"none"``; or one of your own.
        workers: Number of worker processes; ``"auto"`` measures on the first trials whether several
            that share the cores are faster than one.
        maximize: Whether higher values are better.
        trust_defaults: Keep most defaults in every second one of the first 20 trials.
        seed: Random seed.
        progress: Show progress on the terminal.

    Returns:
        The best config, its value, and the folder with the state of its training.

    Raises:
        UserError: Something is wrong that you can fix; the message says how.
        KeyboardInterrupt: The search was interrupted before any trial had a value.
    """
    end_of_reading()
    given = {k: v for k, v in locals().items() if k in TuneSettings.model_fields and v is not None}
    named, own = apart(given)
    settings = checked(TuneSettings, named)
    return run(settings, reference(function), space, own=own, progress=progress)


def run(
    settings: TuneSettings,
    function: str,
    space: Mapping[str, Range | Field] | None = None,
    *,
    own: Own = NAMED,
    progress: bool = True,
    to_stderr: bool = False,
    started_s: float = 0.0,
) -> Tuned:
    """Start or resume a search in its folder, and run it within its budget.

    Args:
        settings: User settings.
        function: Reference to the function; see `load_function`.
        space: See `tune`.
        own: What the user passes in place of a sampler's or scheduler's name.
        progress: Show progress on the terminal.
        to_stderr: Show progress on standard error, and keep standard output for programs.
        started_s: Seconds since the process started.
    """
    settings = _limited(settings)
    budget = math.inf if settings.budget is None else settings.budget
    clock = Clock(budget=budget, spent=started_s)  # importing the function's file takes time too
    here, name, function = Path.cwd(), function.rpartition(":")[2], located(function)
    train = load_within(function, clock.left(), quiet=not progress)  # may change the folder
    code = imported_code_of(train, name, file := file_of(train, here))
    search = replace(search_for(settings, function, space_for(train, space), own), code=code)
    identity = _identity(settings, search, code, own)
    path = (here / (settings.out or Path("runs") / name)).resolve()
    changed = f"the code in {file} that `{name}` needs was changed; undo that to go on with it"
    with (
        enter_run(path, identity, {CODE: changed}) as journal,
        Terminal(budget=budget, log_path=path / LOG, quiet=not progress, to_stderr=to_stderr) as t,
    ):
        room = disk_bytes(path / TRIALS, is_timed=search.units is None)
        search = replace(search, disk_bytes=room)
        before = journal.history
        forget_failures(journal, path / TRIALS, is_over=clock.left() <= before.elapsed)
        past = journal.history
        clock = replace(clock, spent=clock.elapsed() + past.elapsed)
        for event in (SessionStarted(budget=budget), *_planned(journal, identity, name)):
            journal.append(event, elapsed=past.elapsed)
        t.phase(f"tune {name}", clock.elapsed())
        remember(path, search)
        with clock.phase("tune"), mendable(path, past, journal, clock):
            found = _run(search, settings.workers, path, clock, journal, say=t.say)
        _store(found)  # before the page, which may fail
        ended = Ended(status=found.status, reason=found.reason)
        journal.append(ended, elapsed=charged_s(past, journal, clock), phases=clock.phases)
        return _shown(found, search, before, journal.history)


def _limited(settings: TuneSettings) -> TuneSettings:
    """Set the default budget, unless something limits the search."""
    is_limited = settings.budget is not None or settings.trials is not None
    return settings if is_limited else settings.model_copy(update={"budget": DEFAULT_BUDGET_S})


def _store(found: Tuned) -> None:
    write_atomic(found.folder / RESULT, found.as_json() + "\n")


def _shown(found: Tuned, search: Search, before: Past, past: Past) -> Tuned:
    """Write a page that shows the result; what is stuck may go on with mended code."""
    if failed_in_one_place(past) or (failed_in_one_place(before) and not _advanced(before, past)):
        let_differ(found.folder, [CODE])
    told = with_report(found, search, past)
    _store(told)
    return told


def _advanced(before: Past, past: Past) -> bool:
    """Whether a trial that there was before was trained further."""
    return any(past.trials[name].seen > trial.seen for name, trial in before.trials.items())


def _identity(settings: TuneSettings, search: Search, code: Code, own: Own) -> dict[str, Any]:
    """Return what identifies a search."""
    return {
        CODE: code.needed,
        "space": space_words(search.space),
        **settings.identity(),
        **own.names,
    }


def _planned(journal: Journal, identity: Mapping[str, Any], name: str) -> list[Planned | Noted]:
    """Return what a session begins with: also a note if the function was changed since the last."""
    planned, before = Planned(plan=identity), journal.history.plan
    if before is None or before[CODE] == identity[CODE]:
        return [planned]
    told = f"`{name}` was changed after its search had stopped; what it had trained stays."
    return [planned, Noted(text=told)]


def _run(
    search: Search,
    workers: int | None,
    path: Path,
    clock: Clock,
    journal: Journal,
    *,
    say: Callable[[str], None],
) -> Tuned:
    interrupted, spent = threading.Event(), clock.elapsed()
    kept_s = min(REPORT_S, SHARE * clock.budget)
    training = replace(clock, budget=clock.budget - kept_s, spent=spent)
    searching = replace(clock, budget=(1 - SHARE) * training.budget, spent=spent)

    def tuner(what: Search, workers: int) -> Tuner:
        return Tuner(
            what,
            folder=path / TRIALS,
            executor=processes(workers, path, memory_share=MEMORY_SHARE),
            clock=searching,
            journal=journal,
            say=say,
            interrupted=interrupted,
        )

    with catch_signals(interrupted, say=say):
        if workers is None:
            workers = choose_workers(
                search, _most(path), tuner, journal=journal, clock=searching, say=say
            )
        whole = tuner(search, workers)
        reason = whole.run()
        found, past = whole.history, journal.history
        noise = _noise(search, found, past, workers, path, clock=training, interrupted=interrupted)
    status = _status(found, reason, is_interrupted=interrupted.is_set(), say=say)
    notes, doubts = past.notes, whole.doubts
    return tell(
        path, search, found, noise, status=status, reason=reason, notes=notes, doubts=doubts
    )


def _noise(
    search: Search,
    history: History,
    past: Past,
    workers: int,
    path: Path,
    *,
    clock: Clock,
    interrupted: threading.Event,
) -> Noise | None:
    """Measure the noise between equal configs; None if the search was too short for that."""
    return train_again(
        search,
        history,
        past,
        best_trial(history),
        [{}] * TIMES,
        folder=path,
        executor=processes(workers, path, memory_share=MEMORY_SHARE),
        clock=clock,
        interrupted=interrupted,
    )


def _status(
    history: History, reason: str, *, is_interrupted: bool, say: Callable[[str], None]
) -> str:
    """Return how a search ended; an interrupted one may have no result.

    Raises:
        KeyboardInterrupt: No trial has a value.
    """
    if is_interrupted and best_trial(history) is None:
        say(f"{reason} No trial has a value yet; the same command goes on.")
        raise KeyboardInterrupt
    return "interrupted" if is_interrupted else "finished"


def _most(path: Path) -> int:
    """Return the maximum number of workers."""
    return min(measure(path).cores, WORKERS_MOST)
