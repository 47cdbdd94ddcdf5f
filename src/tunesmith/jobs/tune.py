"""Tune any training function: a space, a budget, and a function that trains in slices."""

import hashlib
import inspect
import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function, end_of_reading, load_function, reference
from tunesmith.core.settings import TuneSettings, checked
from tunesmith.core.space import Field, Range
from tunesmith.execution.executor import Executor
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import Processes
from tunesmith.execution.signals import catch_signals
from tunesmith.jobs.search import remember, search_for, space_for, space_words
from tunesmith.records.events import Ended, Planned, SessionStarted
from tunesmith.records.folder import open_run, write_atomic
from tunesmith.records.journal import Journal
from tunesmith.report.terminal import Terminal
from tunesmith.tuning.folders import at_unit
from tunesmith.tuning.protocols import History
from tunesmith.tuning.tuner import Search, Tuner

TRIALS, RESULT, LOG = "trials", "result.json", "run.log"  # in the run's folder
WORKERS_LOG = "workers.log"  # what the user's function prints
DEFAULT_BUDGET_S = 600.0
MEMORY_SHARE = 0.9  # of the machine's memory, for all workers together


@final
@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a search found.

    Attributes:
        folder: The run's folder.
        number: Of the trial that was chosen; 0 are the defaults.
        config: Its values.
        value: The last one it gave.
        units: Of its training.
        checkpoint: What it left in its folder.
        default: The last value of trial 0; None if it has none.
        trials: How many were started.
        failed: Why trials failed, by number.
        status: ``"finished"`` or ``"interrupted"``.
        reason: Why the search ended.
    """

    folder: Path
    number: int
    config: Mapping[str, Any]
    value: float
    units: int
    checkpoint: Path
    default: float | None
    trials: int
    failed: Mapping[int, str]
    status: str
    reason: str

    def as_json(self) -> str:
        """All of it, for programs."""
        return json.dumps(asdict(self), default=str, indent=2)

    def words(self) -> str:
        """All of it that a person wants to know first."""
        values = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
        default = "no value" if self.default is None else f"{self.default:.6g}"
        failed = f", {len(self.failed)} of them failed" if self.failed else ""
        return (
            f"value   {self.value:.6g} after {self.units} units (defaults: {default})\n"
            f"config  {values}\n"
            f"trial   {self.number} of {self.trials}{failed}; {self.reason}\n"
            f"state   {self.checkpoint}"
        )


def tune(
    function: Function,
    space: Mapping[str, Range | Field] | None = None,
    *,
    budget: str | float | None = None,
    trials: int | None = None,
    horizon: int = 100,
    out: str | Path | None = None,
    sampler: str = "auto",
    scheduler: str = "auto",
    workers: int = 1,
    maximize: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Tuned:
    """Find the config with which a training function of your own does best.

    ``function(config, folder, start, until)`` trains from ``start`` to ``until`` of ``horizon``
    units (epochs, steps, or percent of a training). What it needs to go on it keeps in ``folder``.
    It returns the value at ``until``, or a list of values at even steps up to there.

    Worker processes import the function; they read a script no further than to this call.

    Args:
        function: Trains; a plain function at the top of a file.
        space: Ranges by name, or fields with a default of your own. Without one, the config is a
            dataclass with ranged fields, which the function's first parameter is annotated with.
        budget: Seconds, or a time span such as ``"10m"``; ten minutes, unless ``trials`` is given.
        trials: How many configs may be tried. Without a budget, each is trained to the end.
        horizon: Units of a full training.
        out: The run's folder; by default ``runs/NAME``. The same call on an unfinished run goes on
            with it; with more budget or trials, a finished run is extended.
        sampler: ``"auto"``, ``"tpe"``, ``"random"``, ``"optuna"`` or ``"hyperopt"``.
        scheduler: ``"auto"``, ``"freeze-thaw"``, ``"asha"`` or ``"none"``.
        workers: Processes that train at the same time.
        maximize: Whether higher values are better.
        seed: Of everything random.
        progress: Show progress on the terminal.

    Returns:
        The config, its value, and the folder in which its training left its state.

    Raises:
        UserError: Something is wrong that you can mend; the message says how.
    """
    end_of_reading()
    given: dict[str, Any] = {"budget": budget, "trials": trials, "horizon": horizon, "out": out}
    given |= {"sampler": sampler, "scheduler": scheduler, "workers": workers}
    given |= {"maximize": maximize, "seed": seed}
    settings = checked(TuneSettings, {k: v for k, v in given.items() if v is not None})
    return run(settings, reference(function), space, progress=progress)


def run(
    settings: TuneSettings,
    function: str,
    space: Mapping[str, Range | Field] | None = None,
    *,
    progress: bool = True,
    to_stderr: bool = False,
    started_s: float = 0.0,
) -> Tuned:
    """Open or resume a search's folder, and search until the clock says stop.

    Args:
        settings: What the user decided.
        function: As in `load_function`.
        space: See `tune`.
        progress: Show progress on the terminal.
        to_stderr: Show it on standard error, since standard output is for programs.
        started_s: Seconds since the user pressed Enter.
    """
    if settings.budget is None and settings.trials is None:
        settings = settings.model_copy(update={"budget": DEFAULT_BUDGET_S})
    budget = math.inf if settings.budget is None else settings.budget
    train = load_function(function)
    search = search_for(settings, function, space_for(train, space))
    source = Path(inspect.getsourcefile(train) or "").read_bytes()
    identity = {
        "function": hashlib.sha256(source).hexdigest(),
        "space": space_words(search.space),
        **settings.identity(),
    }
    path = open_run(settings.out or Path("runs") / train.__name__, identity).path.resolve()
    with (
        Journal(path) as journal,
        Terminal(budget=budget, log_path=path / LOG, quiet=not progress, to_stderr=to_stderr) as t,
    ):
        clock = Clock(budget=budget, spent=started_s + journal.history.elapsed)
        for event in (SessionStarted(budget=budget), Planned(plan=identity)):
            journal.append(event, elapsed=clock.elapsed())
        t.phase(f"tune {train.__name__}", clock.elapsed())
        remember(path, search)
        executor = _workers(settings, path)
        with clock.phase("tune"):
            found = _run(search, path, executor, clock, journal, say=t.say)
        write_atomic(path / RESULT, found.as_json() + "\n")
        ended = Ended(status=found.status, reason=found.reason)
        journal.append(ended, elapsed=clock.elapsed(), phases=clock.phases)
    return found


def _run(
    search: Search,
    path: Path,
    executor: Executor,
    clock: Clock,
    journal: Journal,
    *,
    say: Callable[[str], None],
) -> Tuned:
    interrupted = threading.Event()
    tuner = Tuner(
        search,
        folder=path / TRIALS,
        executor=executor,
        clock=clock,
        journal=journal,
        say=say,
        interrupted=interrupted,
    )
    with catch_signals(interrupted):
        reason = tuner.run()
    status = "interrupted" if interrupted.is_set() else "finished"
    return _tuned(path, search, tuner.history, status=status, reason=reason)


def _workers(settings: TuneSettings, path: Path) -> Processes:
    memory = MEMORY_SHARE * measure(path).memory_bytes / settings.workers
    log = path / WORKERS_LOG
    return Processes(settings.workers, memory_bytes=int(memory), log=log)


def _tuned(path: Path, search: Search, history: History, *, status: str, reason: str) -> Tuned:
    """Choose the trial with the best last value: what is handed over is what was measured.

    Raises:
        SettingsError: No trial has a value.
    """
    sound = [n for n, t in enumerate(history.trials) if t.curve and t.failed is None]
    if not sound:
        raise SettingsError(
            f"The search ended before any trial had a value ({reason}) Give it a longer budget, or "
            f"a function with shorter slices. What was tried is in {path}."
        )
    last = {n: history.trials[n].curve[-1].value for n in sound}
    number = min(sound, key=lambda n: last[n])
    chosen = history.trials[number]
    return Tuned(
        folder=path,
        number=number,
        config=chosen.config,
        value=search.sign * last[number],
        units=chosen.at,
        checkpoint=at_unit(path / TRIALS, number, chosen.at),
        default=search.sign * last[0] if 0 in last else None,
        trials=len(history.trials),
        failed={n: t.failed for n, t in enumerate(history.trials) if t.failed is not None},
        status=status,
        reason=reason,
    )
