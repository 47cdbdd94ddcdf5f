"""The main path: labeled images and a time budget in, a tested and exported model out.

Read `_run` from top to bottom: it is the job.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.functions import end_of_reading
from tunesmith.core.settings import Settings
from tunesmith.data.quarantine import FILE as LIST
from tunesmith.data.source import Source
from tunesmith.data.subsample import thinned
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.execution.loading import importing, limit_of
from tunesmith.execution.machine import Machine
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.execution.signals import catch_signals, end_at_once
from tunesmith.export import onnx
from tunesmith.jobs.closing.finish import hand_over
from tunesmith.jobs.closing.result import Result, handed_over
from tunesmith.jobs.closing.tell import tell
from tunesmith.jobs.fetch import open_data
from tunesmith.jobs.planning.decide import find_families, judge, plan_all
from tunesmith.jobs.planning.planner import (
    look,
    plan_run,
    plan_words,
    record_plan,
    refuse_other_space,
)
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session, computing
from tunesmith.jobs.search.search import unrecorded_seconds
from tunesmith.jobs.training.race import race
from tunesmith.jobs.training.train import train_all
from tunesmith.models.build import Family
from tunesmith.records import events
from tunesmith.records.editable import refuse_edited
from tunesmith.records.folder import enter_run
from tunesmith.records.history import History
from tunesmith.report.summary import Summary
from tunesmith.report.terminal import Terminal

UNTRAINED = "Nothing was trained yet: the same command begins again."


def fit(
    source: Any,
    *,
    test: Any = None,
    budget: str | float = "10m",
    out: str | Path | None = None,
    model: str = "auto",
    metric: str = "accuracy",
    device: str = "auto",
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
    on_suspects: str = "keep",
    quarantine: str | Path | None = None,
    params: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    sampler: str = "auto",
    scheduler: str = "auto",
    trials: int | None = None,
    workers: int | str = "auto",
    limit: Mapping[str, float] | None = None,
    progress: bool = True,
) -> Result:
    """Train, test and export the best image classifier that a time budget can buy.

    Args:
        source: A folder of class folders (or with ``train/`` and ``test/`` of those), a ``.zip`` or
            ``.tar`` of either, a ``.csv`` or ``.parquet`` table of paths and labels, a folder of
            IDX files, an ``.npz``, arrays ``(X, y)`` with X uint8 of shape ``(N, H, W)`` or
            ``(N, H, W, C)``, a torch Dataset, or a name: ``"digits"``, ``"mnist"``,
            ``"fashion-mnist"`` or ``"cifar10"``, the last three of which are downloaded once.
        test: Test set in the same format, if ``source`` has none of its own.
        budget: Seconds, or a time span such as ``"10m"``, from process start to report written.
        out: Run folder; by default ``runs/NAME``. The same call resumes an unfinished run; with
            more budget or trials, it extends a finished one.
        model: ``"auto"`` lets networks compete; else a family, or your own ``"file.py:function"``.
        metric: ``"accuracy"``, ``"balanced_accuracy"``, ``"log_loss"``, ``"macro_f1"`` or
            ``"roc_auc"``.
        device: Where to train: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        seed: Random seed.
        columns: Names of a table's columns, by use, such as ``{"label": "species"}``; the uses are
            ``path``, ``label``, ``split`` and ``group``. Common names are found without it.
        on_suspects: ``"quarantine"`` leaves suspects out of training: images whose label a copy
            contradicts, and near copies of test images if so many that they are otherwise kept;
            ``"keep"`` only reports them.
        quarantine: List of images to leave out, as written by `check` and perhaps edited.
        params: Fixed values of the model's parameters.
        train: Fixed values of fields of the training config.
        sampler: How the search proposes configs: ``"auto"``, ``"gp"``, ``"tpe"``, ``"random"``,
            ``"optuna"`` or ``"hyperopt"``.
        scheduler: How the search chooses the trial to train next: ``"auto"``, ``"freeze-thaw"``,
            ``"asha"`` or ``"none"``.
        trials: Number of trials of the search; 0 for no search. By default, there is a search if
            the budget is three times what the plan's config needs, and time limits it.
        workers: Number of search processes; ``"auto"`` measures on the first trials whether several
            that share the cores are faster than one. With ``trials`` it is one, since the order in
            which several finish is random.
        limit: Limits on the exported graph: ``{"latency_ms": 5}`` for one image on all cores,
            ``{"size_mb": 4}`` for the file.
        progress: Show progress on the terminal.

    Returns:
        The score with its interval, and the paths of report and bundle.

    Raises:
        UserError: Something is wrong that you can fix; the message says how.
    """
    end_of_reading()
    given: dict[str, Any] = {"budget": budget, "out": out, "model": model, "metric": metric}
    given |= {"device": device, "seed": seed, "columns": columns or {}}
    given |= {"on_suspects": on_suspects, "quarantine": quarantine}
    given |= {"params": params or {}, "train": train or {}, "limit": limit or {}}
    given |= {"sampler": sampler, "scheduler": scheduler, "trials": trials, "workers": workers}
    return run(Settings.make(given), source, test, progress=progress)


def run(
    settings: Settings,
    source: Any,
    test: Any = None,
    *,
    command: str = "",
    progress: bool = True,
    to_stderr: bool = False,
    started_s: float = 0.0,
) -> Result:
    """Run a job in its folder: open or resume it, then work within the budget.

    Args:
        settings: User settings.
        source: The data; see `fit`.
        test: Test set in the same format, or None.
        command: Command line, for the report.
        progress: Show progress on the terminal.
        to_stderr: Show progress on standard error, and keep standard output for programs.
        started_s: Seconds since the process started.
    """
    begin = Clock(budget=settings.budget, spent=started_s, phases={"start": started_s})
    keep_freed_memory()
    data = _open(settings, source, test, clock=begin, quiet=not progress)
    families = _families(settings, begin, quiet=not progress)
    identity = _identity(settings, data, families)
    out = settings.out or Path("runs") / data.name
    with enter_run(out, identity) as journal:
        past = journal.history
        extended = past.is_extended_by(_session_of(settings))
        if past.ended and past.ended.status == "finished" and not extended:
            if found := handed_over(out):
                return found
            settings = _as_granted(settings, past)
        _refuse_changes(out, past, settings)
        clock = _going_on(begin, settings, past, searched=unrecorded_seconds(out, past))
        with Terminal(
            budget=clock.budget, log_path=out / "run.log", quiet=not progress, to_stderr=to_stderr
        ) as terminal:
            session = Session(
                settings=settings,
                folder=out,
                clock=clock,
                journal=journal,
                terminal=terminal,
                command=command,
            )
            session.record(_session_of(settings))
            machine = measure_machine(out)
            with catch_signals(session.interrupted, say=terminal.say), computing(machine.cores):
                summary = _run(session, data, families, machine, extended=extended)
    return Result(folder=out, summary=summary)


def _refuse_changes(out: Path, past: History, settings: Settings) -> None:
    """Refuse a list that was edited, and a search of another version; no time is spent."""
    refuse_edited(out / LIST)
    refuse_other_space(out, past, settings)


def _going_on(begin: Clock, settings: Settings, past: History, *, searched: float) -> Clock:
    """Return a clock that goes on from earlier sessions, and from a search that was killed."""
    return replace(
        begin,
        budget=settings.budget,
        spent=begin.elapsed() + past.elapsed + searched,
        phases=begin.phases | ({"search": searched} if searched else {}),
    )


def _session_of(settings: Settings) -> events.SessionStarted:
    """Return what the settings grant a session."""
    return events.SessionStarted(budget=settings.budget, trials=settings.trials)


def _as_granted(settings: Settings, past: History) -> Settings:
    """Return settings with the grants of a finished run, to rebuild lost files and no more."""
    granted = past.granted or _session_of(settings)
    return settings.model_copy(update={"budget": granted.budget, "trials": granted.trials})


def _identity(settings: Settings, data: Source, families: Sequence[Family]) -> dict[str, Any]:
    """Return what identifies a job: its data, settings and network."""
    identity = {"data": data.identity, **settings.identity()}
    if source_of_network := families[0].source:
        identity["network"] = source_of_network.sha256
    return identity


def _open(settings: Settings, source: Any, test: Any, *, clock: Clock, quiet: bool) -> Source:
    with clock.phase("open the data"):
        return open_data(
            source, test, settings.columns, quarantine=settings.quarantine, clock=clock, quiet=quiet
        )


def _families(settings: Settings, clock: Clock, *, quiet: bool) -> tuple[Family, ...]:
    """Find the networks that compete; one of the user's is imported."""
    with importing(settings.model, limit_of(clock.left()), quiet=quiet):
        return find_families(settings)


def _run(
    session: Session,
    source: Source,
    families: Sequence[Family],
    machine: Machine,
    *,
    extended: bool,
) -> Summary:
    has_trained = any(trial.slices for trial in session.journal.history.trials.values())
    with end_at_once(UNTRAINED, unless=has_trained):
        planned = plan_run(session, source, families, machine, extended=extended)
        source = thinned(source, planned.read, seed=session.settings.seed)
        # As measured now, or by an earlier session.
        torch.set_num_threads(min(machine.cores, *(chosen.threads for chosen in planned.plans)))
        # Importing the exporter takes seconds of one core. During decoding it costs just these;
        # during training, whose threads wait for each other, it would cost twice as much.
        threading.Thread(target=onnx.prepare, daemon=True).start()
        prepared = prepare(
            session, source, planned.data, machine, size=planned.size, depth=planned.depth
        )
        if session.journal.history.plan is None:
            with session.phase("judge augmentation"):
                planned = judge(session, prepared, planned)
            record_plan(session, planned)
    candidates = [
        Candidate(prepared=as_expected(prepared, family), family=family, chosen=chosen)
        for family, chosen in zip(planned.families, planned.plans, strict=True)
    ]
    with session.phase("race"):
        winners = race(session, candidates, planned.probed, alone=planned.alone)
    for winner in winners:
        for sentence in plan_words(session, winner.chosen):
            session.terminal.say(sentence)
    with session.phase("train"):
        fitted = train_all(session, winners, extended=extended)
    handed = hand_over(session, fitted, machine=machine)
    return tell(session, fitted, handed)


def dry_run(
    settings: Settings, source: Any, test: Any = None, *, started_s: float
) -> planning.Foreseen:
    """Measure and plan as `fit` would, without training or writing anything."""
    clock = Clock(budget=settings.budget, spent=started_s)
    keep_freed_memory()
    data = _open(settings, source, test, clock=clock, quiet=False)
    families = _families(settings, clock, quiet=False)
    folder = settings.out or Path("runs") / data.name
    machine = measure_machine(next(p for p in folder.absolute().parents if os.path.isdir(p)))  # noqa: PTH112 (pathlib's raises)
    with computing(machine.cores):
        looked, seen, _ = look(data, settings, machine, clock)
        spent = clock.elapsed()
        planned = plan_all(settings, looked, seen, families, machine=machine, clock=clock)
    return planning.Foreseen(
        plans=dict(zip((f.name for f in planned.families), planned.plans, strict=True)),
        alone=planned.alone,
        images=len(data.names),
        read=seen.images,
        read_per_s=planning.reading_per_s(seen),
        spent=spent,
        skipped=data.skipped,
    )
