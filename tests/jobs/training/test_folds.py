"""Tests of `tunesmith.jobs.training.folds`: out-of-fold predictions that judge a search."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from tunesmith import plan as planning
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import fold_name
from tunesmith.jobs.training.folds import (
    Predictors,
    are_telling,
    fold_trial,
    joined,
    of_all,
    with_folds,
)

IMAGES, SCRATCH = 90, "convnet"
SessionIn = Callable[..., AbstractContextManager[Session]]


def candidate_of(session: Session) -> Candidate:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (IMAGES, 8, 8)).astype(np.uint8)
    source = open_source((pixels, np.arange(IMAGES) % 2))
    settings, machine = session.settings, measure(session.folder)
    looked = sample(source, count=60, seed=0, threads=1)
    data, families = fingerprint(source, looked), find_families(settings)
    planned = plan_all(settings, looked, data, families, machine=machine, clock=session.clock)
    prepared = prepare(session, source, data, machine, size=planned.size, depth=planned.depth)
    (family,), (chosen,) = planned.families, planned.plans
    return Candidate(prepared=as_expected(prepared, family), family=family, chosen=chosen)


def test_a_search_is_judged_by_few_folds(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_in(tmp_path, budget=30, model=SCRATCH, trials=3) as session:
        candidate = candidate_of(session)
        assert candidate.chosen.search
        ends_at = session.clock.elapsed() + 3
        trained, predicted = with_folds(session, candidate, ends_at, extended=False)
        split = candidate.prepared.split
        assert split.folds is not None
        of_folds = [split.train[split.folds == fold].tolist() for fold in range(3)]
        assert [places_N.tolist() for _, places_N in predicted.parts] == of_folds
        predicting = [fold_name(SCRATCH, fold) for fold in range(3)]
        assert set(session.journal.history.trials) == {SCRATCH, *predicting}
        assert all(each.seen > 0 for each in session.journal.history.trials.values())
        share = np.mean([session.journal.history.trials[name].seen for name in predicting])
        assert predicted.by == Predictors(share=float(share) / trained.checkpoint.seen)
        needed = min(session.journal.history.trials[name].seen for name in predicting)
        for epochs, telling in ((0.0, True), (2.0 * needed, False)):
            monkeypatch.setattr(planning, "fold_epochs", lambda epochs=epochs, **_: epochs)
            assert are_telling(session, [candidate], folds=3) is telling


def test_without_a_search_all_folds_are_predicted_where_there_is_time(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "folds_in", lambda *_, **__: (99, 0.5))
    with session_in(tmp_path, budget=30, model=SCRATCH, trials=0) as session:
        candidate = candidate_of(session)
        ends_at = session.clock.elapsed() + 3
        _, predicted = with_folds(session, candidate, ends_at, extended=False)
        z_NK, places_N = joined(candidate, predicted.parts)
        assert z_NK.shape == (len(places_N), 2)
        assert sorted(places_N) == sorted(candidate.prepared.split.train)


def test_only_the_first_fold_is_validated(session_in: SessionIn, tmp_path: Path) -> None:
    with session_in(tmp_path, budget=30, model=SCRATCH) as session:
        candidate = candidate_of(session)
        validated = [fold_trial(candidate, fold, 9.0).validate is not None for fold in range(2)]
        assert validated == [True, False]


def test_an_ensemble_is_predicted_by_all_that_predict_for_its_members() -> None:
    heads, networks = Predictors(are_heads=True, share=0.0), Predictors(share=0.5)
    assert of_all([networks]) == networks
    assert of_all([heads, heads]) == heads
    assert of_all([heads, networks]) == Predictors(share=0.25)
