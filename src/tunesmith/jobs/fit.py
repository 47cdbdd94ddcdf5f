"""The main path: labeled images and a time budget in, a tested and exported model out.

Read `_run` from top to bottom: it is the job.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from torch import nn

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.sources import Source, open_source
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.execution.machine import Machine
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.export import onnx
from tunesmith.jobs.finish import hand_over
from tunesmith.jobs.module import load_module
from tunesmith.jobs.prepare import default_config, judge_transforms, measure_speeds, prepare
from tunesmith.jobs.session import Session, catch_signals, computing
from tunesmith.jobs.tell import tell
from tunesmith.jobs.train import train_all
from tunesmith.models.build import Family, find_family
from tunesmith.records.events import Planned, SessionStarted
from tunesmith.records.folder import open_run, write_atomic
from tunesmith.records.journal import Journal
from tunesmith.report.summary import Summary, read_summary
from tunesmith.report.terminal import Terminal

SAMPLED = 1000  # images looked at before anything is decided


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished run hands over.

    Attributes:
        folder: The run's folder.
        summary: The numbers, as in ``result.json``.
    """

    folder: Path
    summary: Summary

    @property
    def score(self) -> float:
        """The metric on the test part, measured on the exported graph."""
        return self.summary.score.value

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the score."""
        return self.summary.score.low, self.summary.score.high

    @property
    def report(self) -> Path:
        """The report, one self-contained HTML file."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """The folder to hand over: graph, weights, manifest, model card."""
        return self.folder / "bundle"

    def module(self) -> nn.Module:
        """Rebuild the network: uint8 ``(N, H, W, C)`` to probabilities ``(N, K)``."""
        return load_module(self.bundle)


def fit(
    source: Any,
    *,
    test: Any = None,
    budget: str | float = "10m",
    out: str | Path | None = None,
    model: str = "convnet",
    metric: str = "accuracy",
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Result:
    """Train, test and export the best image classifier that a time budget can buy.

    Args:
        source: A folder of class folders (or with ``train/`` and ``test/`` of those), a ``.zip`` of
            either, a folder of IDX files, an ``.npz``, arrays ``(X, y)`` with X uint8 of shape
            ``(N, H, W)`` or ``(N, H, W, C)``, a torch Dataset, or ``"digits"``.
        test: A test part of the same kind, where ``source`` has none of its own.
        budget: Seconds, or a time span such as ``"10m"``, from process start to report written.
        out: The run's folder; by default ``runs/NAME``. The same call on an unfinished run goes
            on with it; with more budget, a finished run is extended.
        model: A family, or ``"file.py:function"`` of your own.
        metric: ``"accuracy"``, ``"balanced_accuracy"``, ``"log_loss"``, ``"macro_f1"`` or
            ``"roc_auc"``.
        seed: Of everything random.
        params: Values of the model's parameters that must be kept.
        train: Fields of the training's configuration that must be kept.
        progress: Show progress on the terminal.

    Returns:
        The score with its interval, and where report and bundle lie.

    Raises:
        UserError: Something is wrong that you can mend; the message says how.
    """
    settings = Settings.make(
        {
            "budget": budget,
            "out": None if out is None else Path(out),
            "model": model,
            "metric": metric,
            "seed": seed,
            "params": params or {},
            "train": train or {},
        }
    )
    return run(settings, source, test, progress=progress)


def run(
    settings: Settings,
    source: Any,
    test: Any = None,
    *,
    progress: bool = True,
    to_stderr: bool = False,
    started_s: float = 0.0,
) -> Result:
    """Run a job in its folder: open or resume it, then work until the clock says stop.

    Args:
        settings: What the user decided.
        source: The data; see `fit`.
        test: A test part of the same kind, or None.
        progress: Show progress on the terminal.
        to_stderr: Show it on standard error, since standard output is for programs.
        started_s: Seconds since the user pressed Enter.
    """
    begin = Clock(budget=settings.budget, spent=started_s)
    keep_freed_memory()
    with begin.phase("open the data"):
        data = open_source(source, test=test)
    family = find_family(settings.model)
    folder = settings.out or Path("runs") / data.name
    identity = {"data": data.identity, **settings.identity()}
    if family.source:
        identity["network"] = family.source.sha256
    opened = open_run(folder, identity)
    with Journal(opened.path) as journal:
        past = journal.history
        granted = max((s.budget for s in past.sessions), default=0.0)
        if past.ended and past.ended.status == "finished" and settings.budget <= granted:
            return Result(folder=opened.path, summary=read_summary(opened.path / "result.json"))
        clock = Clock(budget=settings.budget, spent=begin.elapsed() + past.elapsed)
        clock.phases.update({"start": started_s, **begin.phases})
        log = opened.path / "run.log"
        with Terminal(
            budget=settings.budget, log_path=log, quiet=not progress, to_stderr=to_stderr
        ) as terminal:
            session = Session(
                settings=settings,
                folder=opened.path,
                clock=clock,
                journal=journal,
                terminal=terminal,
            )
            session.record(SessionStarted(budget=settings.budget))
            machine = measure_machine(opened.path)
            with catch_signals(session.interrupted), computing(machine.cores):
                extended = bool(past.ended) and settings.budget > granted
                summary = _run(session, data, family, machine, extended=extended)
    return Result(folder=opened.path, summary=summary)


def _run(
    session: Session, source: Source, family: Family, machine: Machine, *, extended: bool
) -> Summary:
    chosen, data = _plan(session, source, family, machine)
    with session.phase("decode"):
        prepared = prepare(session, source, data, machine, chosen.size)
    if session.journal.history.plan is None:
        with session.phase("judge augmentation"):
            chosen = judge_transforms(session, prepared, family, chosen)
        _record_plan(session, chosen, data)
    for sentence in planning.describe(chosen):
        session.terminal.say(sentence)
    # The exporter's import takes a second of one core, while training waits for memory anyway.
    threading.Thread(target=onnx.prepare, daemon=True).start()
    with session.phase("train"):
        fitted = train_all(session, prepared, family, chosen, extended=extended)
    handed = hand_over(session, prepared, family, chosen, fitted, machine=machine)
    return tell(session, prepared, chosen, fitted, handed)


def _plan(
    session: Session, source: Source, family: Family, machine: Machine
) -> tuple[planning.Plan, Fingerprint]:
    """Decide what to run: as an earlier session did, or from fresh measurements."""
    settings, stored = session.settings, session.journal.history.plan
    if stored is not None:
        data = Fingerprint(**stored["data"])
        return planning.Plan.model_validate(stored["plan"]), data
    with session.phase("look at the data"):
        looked = sample(source, count=SAMPLED, seed=settings.seed, threads=machine.cores)
        data = fingerprint(source, looked)
    with session.phase("measure speeds"):
        speeds = measure_speeds(settings, looked, data, family, left_s=session.clock.left())
    chosen = planning.plan(
        data,
        machine,
        speeds,
        settings,
        spent=session.clock.elapsed(),
        defaults=default_config(family),
    )
    return chosen, data


def _record_plan(session: Session, chosen: planning.Plan, data: Fingerprint) -> None:
    stored = {"data": asdict(data), "plan": chosen.model_dump(mode="json")}
    session.record(Planned(plan=stored))
    write_atomic(session.folder / "plan.json", json.dumps(stored, indent=2, ensure_ascii=False))


def dry_run(
    settings: Settings, source: Any, test: Any = None, *, started_s: float
) -> planning.Plan:
    """Measure and plan as `fit` would, without training or writing anything."""
    clock = Clock(budget=settings.budget, spent=started_s)
    keep_freed_memory()
    data, family = open_source(source, test=test), find_family(settings.model)
    folder = settings.out or Path("runs") / data.name
    machine = measure_machine(next(p for p in folder.absolute().parents if p.is_dir()))
    looked = sample(data, count=SAMPLED, seed=settings.seed, threads=machine.cores)
    found = fingerprint(data, looked)
    with computing(machine.cores):
        speeds = measure_speeds(settings, looked, found, family, left_s=clock.left())
    return planning.plan(
        found, machine, speeds, settings, spent=clock.elapsed(), defaults=default_config(family)
    )
