"""Plan a run: from measurements, or as an earlier session did, and what a larger budget adds."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.errors import RunFolderError
from tunesmith.core.settings import Settings
from tunesmith.data.decode import Sample, sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.source import Source
from tunesmith.data.subsample import thinned
from tunesmith.execution.machine import Machine
from tunesmith.jobs.planning.decide import plan_all
from tunesmith.jobs.planning.planned import Planned
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.search import FOLDER
from tunesmith.jobs.search.search_setup import differing, remembered
from tunesmith.jobs.search.space import training_space
from tunesmith.jobs.training.timing import trained_seconds
from tunesmith.models.build import Family
from tunesmith.models.preprocess import resize
from tunesmith.records import events
from tunesmith.records.folder import write_atomic
from tunesmith.records.history import History

SAMPLED = 1000  # images sampled before planning
RESIZED = 128  # pixels a side, to measure how long resizing takes: that hardly depends on it
ONE = threading.Lock()  # held to resize an image: of a large one, the floats take a gigabyte
TOLD = 3  # differences between search spaces, at most


def plan_run(
    session: Session,
    source: Source,
    families: Sequence[Family],
    machine: Machine,
    *,
    extended: bool,
) -> Planned:
    """Plan the run: as an earlier session did, or from new measurements.

    Args:
        session: Session of this process.
        source: The data.
        families: Network families that may be trained, if nothing is planned yet.
        machine: Resources of the machine.
        extended: Whether the run got a larger budget since, which may be enough for a search.
    """
    settings, stored = session.settings, session.journal.history.plan
    if stored is not None:
        planned = Planned.restored(stored, settings)
        if not extended:
            return planned
        for words in _kept_words(session, planned, len(source.names)):
            session.note(words)
        return _extend(session, planned, machine)
    with session.phase("look at the data"):
        looked, data, count = look(source, settings, machine, session.clock)
    images, spent = len(source.names), session.clock.elapsed()
    per_s = planning.reading_per_s(data)
    for words in planning.read_words(data.images, images, per_s, spent=spent, kept=True):
        session.note(words)
    with session.phase("measure speeds"):
        planned = plan_all(settings, looked, data, families, machine=machine, clock=session.clock)
    return replace(planned, read=count)


def refuse_other_space(folder: Path, past: History, settings: Settings) -> None:
    """Refuse a run whose search was begun in another space, as by an earlier version.

    Its trials may have values that no longer exist, so that they cannot be trained on.

    Args:
        folder: The run's folder.
        past: Its history.
        settings: User settings.

    Raises:
        RunFolderError: The spaces differ; the message says in what.
    """
    begun = remembered(folder / FOLDER)
    if begun is None or past.plan is None:
        return
    planned = Planned.restored(past.plan, settings)
    plans = [*zip(planned.families, planned.plans, strict=True)]
    if planned.alone:
        plans.append((planned.families[0], planned.alone))
    spaces = [training_space(family, chosen, settings) for family, chosen in plans]
    # The one that was searched around differs least.
    differences = min((differing(begun[0], space) for space in spaces), key=len)
    if differences:
        raise RunFolderError(
            f"The search in {folder} was begun in another space ({'; '.join(differences[:TOLD])}) "
            "by another version of Tunesmith, and this one cannot go on with it. Pass another "
            "--out. What is in its bundle/ still predicts."
        )


def look(
    source: Source, settings: Settings, machine: Machine, clock: Clock
) -> tuple[Sample, Fingerprint, int]:
    """Sample images; return them, the data's fingerprint, and how many there is time to read."""
    seconds, seed = planning.SAMPLED_SHARE * settings.budget, settings.seed
    looked = sample(
        source,
        count=SAMPLED,
        seed=seed,
        threads=machine.cores,
        seconds=seconds,
        again=_resized,
    )
    data = fingerprint(source, looked)
    left_s = clock.left() - planning.unshared_seconds(settings.budget)
    count = planning.readable_images(planning.reading_per_s(data), left_s)
    kept = thinned(source, count, seed=seed)
    return looked, data if kept is source else fingerprint(kept, looked), count


def _resized(x_HWC: NDArray[np.uint8]) -> Tensor:
    """Resize an image as the exported graph does, in float32, one after the other."""
    x_NCHW = torch.from_numpy(x_HWC.copy()).permute(2, 0, 1)[None]
    with ONE:
        return resize(x_NCHW.float(), (RESIZED, RESIZED))


def record_plan(session: Session, planned: Planned) -> None:
    """Keep the plan for later sessions."""
    stored = planned.stored()
    session.record(events.Planned(plan=stored))
    write_atomic(session.folder / "plan.json", json.dumps(stored, indent=2, ensure_ascii=False))


def plan_words(session: Session, chosen: planning.Plan) -> tuple[str, ...]:
    """Describe a plan in sentences, and say so if it was made for another budget than the run's."""
    planned, budget = session.journal.history.planned, session.settings.budget
    former = planned.budget if planned and planned.budget != budget else None
    return planning.describe(chosen, former=former)


def _kept_words(session: Session, planned: Planned, images: int) -> tuple[str, ...]:
    """Say what stays as the former budget allowed it, the sample of the images included."""
    told, former = planning.kept_words(planned.data.images, images), session.journal.history.planned
    if former is None or session.settings.budget <= former.budget:  # it has more trials alone
        return told
    return (*told, planning.former_words(former.budget))


def _extend(session: Session, planned: Planned, machine: Machine) -> Planned:
    """Add a search if the larger budget makes one worthwhile; only then is the new plan kept."""
    if session.settings.trials is not None:  # whether there is a search was the user's decision
        return planned

    def extend(family: Family, chosen: planning.Plan) -> planning.Plan:
        return planning.extend(
            chosen,
            planned.data,
            machine,
            session.settings,
            spent=session.clock.elapsed(),
            had_s=trained_seconds(session, family.name),
            pretrained=family.pretrained is not None,
        )

    more = replace(
        planned,
        plans=tuple(map(extend, planned.families, planned.plans)),
        alone=planned.alone and extend(planned.families[0], planned.alone),
    )
    if _searches(more) != _searches(planned):
        record_plan(session, more)
    return more


def _searches(planned: Planned) -> list[bool]:
    """Return which of the plans include a search."""
    plans = (*planned.plans, planned.alone)
    return [chosen.search is not None for chosen in plans if chosen is not None]
