"""Write the results: ``result.json`` for programs, ``report.html`` for people."""

import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.bundle.manifest import BUNDLE, GRAPH_FILE, Score
from tunesmith.data.source import Source
from tunesmith.execution.machine import peak_memory_bytes, versions
from tunesmith.jobs.closing.finish import Handed, uncalibrated
from tunesmith.jobs.closing.scores import cross_validation
from tunesmith.jobs.closing.search_report import search_report, summarize
from tunesmith.jobs.deep.suspects import (
    find_suspects,
    held_out,
    out_of_fold,
    tell_held_out,
    tell_learned,
    write_suspects,
)
from tunesmith.jobs.planning.planner import plan_words
from tunesmith.jobs.run.prepare import Prepared
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import fold_name, network_of
from tunesmith.jobs.search.searched import Searched
from tunesmith.jobs.training.train import Fitted
from tunesmith.records.events import Ended
from tunesmith.records.folder import write_atomic
from tunesmith.records.history import History
from tunesmith.report import summary as report
from tunesmith.report.html import render
from tunesmith.report.story import (
    Answer,
    CurvePoint,
    Story,
    ValidationPoint,
    how_to_use,
    reliability,
)

SHOWN = 24  # pictures in a gallery
SAMPLED_CLASSES, SAMPLED_IMAGES = 12, 5  # sample images: classes, and images per class
FIRST_FOLD = "images of the first fold, in the shorter training without them"
WRITING_S = 0.3  # estimated seconds to write the report, which states when it ends itself


def tell(session: Session, fitted: Fitted, handed: Handed) -> report.Summary:
    """Write the run's result and report, and end the session in the journal."""
    prepared, tested = fitted.members[0].prepared, handed.tested
    status = "interrupted" if session.interrupted.is_set() else "finished"
    session.clock.phases["report"] = session.clock.phases.get("report", 0.0) + WRITING_S
    _look_at_limits(session, handed)
    asked, p_NK = out_of_fold(fitted, handed.manifest.temperature)
    learned = find_suspects("train", asked, p_NK, prepared.labels)
    held, q_NK = held_out(fitted, handed.manifest.temperature)
    unlearned = find_suspects("held-out", held, q_NK, prepared.labels)
    suspects = find_suspects("test", tested.places, tested.p_NK, prepared.labels)
    write_suspects(session.folder, prepared, [*suspects, *learned, *unlearned])
    gated = prepared.gated.told(
        [
            tell_learned(prepared, len(asked), learned),
            tell_held_out(prepared, len(held), unlearned),
        ]
    )
    summary = _summary(
        session,
        fitted,
        handed,
        status,
        suspects=len(suspects),
        validated=cross_validation(
            session.settings.metric, p_NK, prepared.labels[asked], tested=tested.score.n
        ),
    )
    report.write_summary(session.folder / "result.json", summary)
    story = replace(
        _story(session, fitted, handed, summary),
        hunt=search_report(session, fitted),
        findings=gated.findings,
        fine=gated.fine,
    )
    write_atomic(session.folder / "report.html", render(story))
    session.record(Ended(status=status, reason=fitted.trained.reason))
    session.journal.flush()
    return summary


def _look_at_limits(session: Session, handed: Handed) -> None:
    """Add a note if the final graph is over the latency limit that its network kept when chosen."""
    found, most = handed.manifest.latency.ms["1"], session.settings.limit.get("latency_ms")
    if most is not None and found > most:
        session.note(
            f"The exported graph took {found:.3g} ms for one image in the end, over the limit of "
            f"{most:g}; when its network was chosen it was within. Other work slows it down.",
            lasting=False,
        )


def _ledger(session: Session) -> dict[str, float]:
    """Sum up seconds by phase over all sessions; unclaimed time is "other"."""
    history, clock = session.journal.history, session.clock
    phases = dict(history.past_phases)
    for name, seconds in clock.phases.items():
        phases[name] = phases.get(name, 0.0) + seconds
    phases["other"] = max(0.0, clock.elapsed() + WRITING_S - sum(phases.values()))
    return {name: round(seconds, 3) for name, seconds in phases.items()}


def _summary(
    session: Session,
    fitted: Fitted,
    handed: Handed,
    status: Any,
    *,
    suspects: int,
    validated: Score | None,
) -> report.Summary:
    history, manifest, candidate = session.journal.history, handed.manifest, fitted.members[0]
    main = history.trials[candidate.name]
    return report.Summary(
        status=status,
        reason=fitted.trained.reason,
        budget_s=session.settings.budget,
        wall_s=round(session.clock.elapsed() + WRITING_S, 3),
        phases=_ledger(session),
        score=handed.tested.score,
        cross_validation=validated,
        test_openings=history.test_openings,
        baseline=report.Baseline(majority=handed.majority, linear=handed.linear),
        trials=_trials(history, fitted.searched),
        model=report.Model(
            family=manifest.model.family,
            parameters=manifest.model.parameters,
            config={**manifest.model.config, **fitted.trained.config.model_dump(mode="json")},
        ),
        data=_data(candidate.prepared, handed, suspects),
        exports=(_exported(handed),),
        evaluation=report.Measures.of(
            handed.tested.evaluation, ece_before=handed.ece_before, temperature=manifest.temperature
        ),
        notes=history.notes,
        seed=session.settings.seed,
        examples=fitted.trained.checkpoint.seen,
        images_per_s=main.seen / max(main.seconds, 1e-9),
        memory_peak_bytes=peak_memory_bytes(),
        versions={"tunesmith": manifest.tunesmith_version, **versions()},
        search=summarize(fitted),
    )


def _trials(history: History, searched: Searched | None) -> int:
    """Number of networks that were trained, those that a search tried included."""
    return len({*map(network_of, history.trials), *(searched.names if searched else ())})


def _data(prepared: Prepared, handed: Handed, suspects: int) -> report.Data:
    split, shape = prepared.split, handed.manifest.input
    counts = Counter({each.kind: len(each.items) for each in prepared.gated.findings})
    return report.Data(
        counts=report.Counts(
            train=len(split.train),
            validation=len(split.validation),
            selection=len(split.selection),
            calibration=len(split.calibration),
            test=len(split.test),
        ),
        classes=prepared.source.classes,
        size=(shape.height, shape.width),
        channels=shape.channels,
        quarantined=len(prepared.loaded.rejected),
        skipped=prepared.source.skipped,
        leaks=len(split.leaks),
        conflicts=counts["conflict"],
        copies=counts["copies"],
        suspects=suspects,
    )


def _exported(handed: Handed) -> report.Exported:
    return report.Exported(
        format="onnx",
        path=f"{BUNDLE}/{GRAPH_FILE}",
        max_abs_difference=handed.verified.max_abs_difference,
        agreement=handed.verified.agreement,
        images=handed.verified.images,
        latency_ms=handed.manifest.latency.ms,
        threads=handed.manifest.latency.threads,
    )


def _story(session: Session, fitted: Fitted, handed: Handed, summary: report.Summary) -> Story:
    candidate, history, manifest = fitted.members[0], session.journal.history, handed.manifest
    prepared, chosen, source = candidate.prepared, candidate.chosen, candidate.prepared.source
    curve, validation = _curves(history, candidate.name)
    why = (history.chosen.reason,) if history.chosen else ()
    p_NK, y_N = handed.tested.p_NK, prepared.labels[handed.tested.places]
    wrong = p_NK.argmax(1) != y_N
    surest_wrong = np.flatnonzero(wrong)[np.argsort(-p_NK[wrong].max(1), kind="stable")]
    least_sure = np.argsort(p_NK.max(1), kind="stable")
    return Story(
        title=source.name,
        summary=summary,
        columns=source.columns,
        curve=curve,
        validation=validation,
        seen=history.trials[candidate.name].seen,
        validated_on=FIRST_FOLD if prepared.folds else "validation images",
        samples=_samples(prepared),
        mistakes=_answers(prepared, handed, surest_wrong[:SHOWN]),
        unsure=_answers(prepared, handed, least_sure[:SHOWN]),
        plan=(*why, *plan_words(session, chosen)),
        before=reliability(uncalibrated(p_NK, manifest.temperature), y_N),
        after=reliability(p_NK, y_N),
        fold_share=fitted.by.share,
        by_heads=fitted.by.are_heads,
        config=_config(session, source, chosen),
        usage=how_to_use(
            str(session.folder / BUNDLE),
            channels=manifest.input.channels,
            classes=len(manifest.classes),
        ),
        command=session.command,
        created=manifest.created,
    )


def _config(session: Session, source: Source, chosen: planning.Plan) -> list[tuple[str, str]]:
    """Return the exact configuration, a line for each setting."""
    data = {"name": source.name, "identity": source.identity}
    job = session.settings.model_dump(mode="json", exclude={"out"})
    plan = chosen.model_dump(mode="json", exclude={"reasons"})
    return [
        (f"{part}.{key}", json.dumps(value, ensure_ascii=False))
        for part, values in (("data", data), ("job", job), ("plan", plan))
        for key, value in values.items()
    ]


def _curves(history: History, name: str) -> tuple[list[CurvePoint], list[ValidationPoint]]:
    slices = history.trials[name].slices
    spent = itertools.accumulate(done.seconds for done in slices)
    curve = [
        CurvePoint(examples=int(row["seen"]), seconds=seconds, loss=row["loss"], rate=row["rate"])
        for done, seconds in zip(slices, spent, strict=True)
        for row in done.rows
    ]
    fold = history.trials.get(fold_name(name, 0))
    validated = history.trials[name].blocks or (fold.blocks if fold else ())
    return curve, [
        ValidationPoint(
            examples=block.at,
            accuracy=block.metrics["accuracy"],
            log_loss=block.metrics["log_loss"],
        )
        for block in validated
    ]


def _samples(prepared: Prepared) -> dict[str, list[NDArray[np.uint8]]]:
    train = prepared.split.train
    return {
        name: [
            prepared.loaded.pixels[i]
            for i in train[prepared.labels[train] == label][:SAMPLED_IMAGES]
        ]
        for label, name in enumerate(prepared.source.classes[:SAMPLED_CLASSES])
    }


def _answers(prepared: Prepared, handed: Handed, rows: NDArray[np.int64]) -> list[Answer]:
    classes, p_NK = prepared.source.classes, handed.tested.p_NK
    return [
        Answer(
            name=prepared.source.names[prepared.loaded.kept[handed.tested.places[row]]],
            image=prepared.loaded.pixels[handed.tested.places[row]],
            true=classes[prepared.labels[handed.tested.places[row]]],
            predicted=classes[int(p_NK[row].argmax())],
            probability=float(p_NK[row].max()),
        )
        for row in rows
    ]
