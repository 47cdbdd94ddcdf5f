"""Tests of `tunesmith.jobs.training.untuned`: what answers after a brief fine-tuning."""

import importlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith import plan as planning
from tunesmith.core.ending import EndReason
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.given import PRETRAINED
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained
from tunesmith.jobs.training import folds, untuned
from tunesmith.jobs.training.folds import Predictors, joined, main_trial, with_folds
from tunesmith.jobs.training.train import train_all
from tunesmith.jobs.training.untuned import tuned_or_head
from tunesmith.plan import TUNED
from tunesmith.records.events import SessionStarted
from tunesmith.training.slice import Checkpoint

HOURS_S = 360_000.0
FEW, MANY = 90, 4000  # images; the latter are enough to hold some out instead of folds
GIVEN: dict[str, Any] = {"budget": 18, "model": PRETRAINED, "train": {"augmentation": {}}}
PLAN = importlib.import_module("tunesmith.plan.plan")
SessionIn = Callable[..., AbstractContextManager[Session]]


def halves(count: int) -> Source:
    """Noise with a bright half, left or right: easily told apart by features of any kind."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 80, (count, 16, 16)).astype(np.uint8)
    labels = np.arange(count) % 2
    pixels[labels == 0, :, :8] += 100
    pixels[labels == 1, :, 8:] += 100
    return open_source((pixels, labels))


@pytest.fixture
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast or slow the machine is, its trainings are brief, those without a fold too."""
    monkeypatch.setattr(planning, "TUNED", math.inf)
    monkeypatch.setattr(planning, "can_tune", lambda *_, **__: True)
    monkeypatch.setattr(folds, "HARDLY", 0.0)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number of epochs ends trainings, before time may do so."""
    monkeypatch.setattr(PLAN, "MOST_EPOCHS_SMALL", 3.0)
    monkeypatch.setattr(PLAN, "MOST_EPOCHS", 0.5)


def candidate_of(session: Session, source: Source) -> Candidate:
    """The pretrained network at its least resolution, as it is planned otherwise."""
    settings, machine = session.settings, measure(session.folder)
    looked = sample(source, count=60, seed=0, threads=1)
    data, families = fingerprint(source, looked), find_families(settings)
    planned = plan_all(settings, looked, data, families, machine=machine, clock=session.clock)
    prepared = prepare(session, source, data, machine, size=planned.size, depth=planned.depth)
    (family,), (chosen,) = planned.families, planned.plans
    # So few epochs leave time for a search, if the machine is fast, but none for heads of all.
    changes = {"params": {"resolution": 32}, "passes": 1, "search": None, "train_s": 60.0}
    chosen = chosen.model_copy(update=changes)
    return Candidate(prepared=as_expected(prepared, family), family=family, chosen=chosen)


def notes(session: Session) -> str:
    return " ".join(session.journal.history.notes)


def spoiled(good: Checkpoint, classifier: str) -> Checkpoint:
    """The same with the answers reversed, as fine-tuning of a few examples."""
    turned = {
        name: -value if name.startswith(classifier) else value
        for name, value in good.average.items()
    }
    return replace(good, seen=64, average=turned)


def test_of_many_images_those_held_out_decide(session_in: SessionIn, tmp_path: Path) -> None:
    with session_in(tmp_path, **GIVEN) as session:
        candidate = candidate_of(session, halves(MANY))
        trial = main_trial(candidate, 10.0)
        assert trial.begin is not None
        assert candidate.family.pretrained is not None
        good = trial.begin()
        bad = spoiled(good, candidate.family.pretrained.classifier)
        harmed = Trained(checkpoint=bad, config=trial.config, reason=EndReason.TIME)
        found = tuned_or_head(session, candidate, trial, harmed)
        assert found == replace(harmed, checkpoint=good)
        assert "A head on features learned from photographs answers" in notes(session)
        assert "after fine-tuning with 64 examples" in notes(session)
        # One that did good stays, and so does one of many examples, which is not even compared.
        helped = replace(harmed, checkpoint=good)
        session.record(SessionStarted(budget=18.0))
        worse_begun = replace(trial, begin=lambda: bad)
        assert tuned_or_head(session, candidate, worse_begun, helped) is helped
        long = replace(harmed, checkpoint=replace(bad, seen=TUNED))
        assert tuned_or_head(session, candidate, trial, long) is long
        assert "A head on" not in notes(session)  # that was said of what came out before


@pytest.mark.usefixtures("_brief")
def test_of_few_images_out_of_fold_predictions_decide(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def is_better(_metric: str, head_NK: Any, tuned_NK: Any, y_N: Any) -> bool:
        compared.append((len(head_NK), len(tuned_NK), len(y_N)))
        return True

    monkeypatch.setattr(untuned, "is_better", is_better)
    with session_in(tmp_path, **GIVEN) as session:
        candidate = candidate_of(session, halves(FEW))
        ends_at = session.clock.elapsed() + HOURS_S
        trained, predicted = with_folds(session, candidate, ends_at, extended=False)
        z_NK, places_N = joined(candidate, predicted.parts)
        assert predicted.by == Predictors(are_heads=True)
        y_N = candidate.prepared.labels[places_N]
        assert compared == [(len(y_N),) * 3]
        assert sorted(places_N) == sorted(candidate.prepared.split.train)
        assert (z_NK.argmax(1) == y_N).mean() > 0.7  # chance is 0.5
        assert "A head on features learned from photographs answers" in notes(session)
        begun = candidate.begin(candidate.prepared.train)
        torch.testing.assert_close(dict(trained.checkpoint.average), dict(begun.average))


@pytest.mark.parametrize("epochs", [0.0, math.inf])
def test_where_folds_have_too_little_time_their_heads_stand_for_them(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: float
) -> None:
    monkeypatch.setattr("tunesmith.plan.folds.FEWEST_EPOCHS_SMALL", epochs)
    monkeypatch.setattr(planning, "can_tune", lambda *_, **__: False)
    monkeypatch.setattr(planning, "folds_in", lambda *_, **__: (1, 0.5))  # of networks
    with session_in(tmp_path, **GIVEN) as session:
        candidate = candidate_of(session, halves(FEW))
        ends_at = session.clock.elapsed() + HOURS_S
        trained, predicted = with_folds(session, candidate, ends_at, extended=False)
        z_NK, places_N = joined(candidate, predicted.parts)
        assert set(places_N) <= set(candidate.prepared.split.train)
        assert len(set(places_N)) == len(places_N) == len(candidate.prepared.train)
        assert (z_NK.argmax(1) == candidate.prepared.labels[places_N]).mean() > 0.7
        assert set(session.journal.history.trials) == {PRETRAINED}
        # After less than an epoch, fine-tuning has done harm.
        assert (trained.checkpoint.seen > 0) is (epochs == 0)
        assert ("Such a head answers too" in notes(session)) is (epochs > 0)
        share = 1.0 if epochs else 0.0
        assert predicted.by == Predictors(are_heads=True, share=share)
        assert "heads on features learned from photographs stand for them" in notes(session)


@pytest.mark.usefixtures("_brief")
@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("is_better", [True, False])
def test_the_whole_training_hands_over_what_is_better(
    session_in: SessionIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    *,
    is_better: bool,
) -> None:
    monkeypatch.setattr(untuned, "is_better", lambda *_: is_better)
    with session_in(tmp_path, **GIVEN) as session:
        candidate = candidate_of(session, halves(count))
        fitted = train_all(session, [candidate], extended=False)
        was_trained = session.journal.history.trials[PRETRAINED].seen > 0
        assert (fitted.trained.checkpoint.seen == 0) is (is_better or not was_trained)
        assert len(fitted.z_NK) == len(fitted.labels) > 0
