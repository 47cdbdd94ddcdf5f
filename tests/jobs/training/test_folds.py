"""Tests of `tunesmith.jobs.training.folds`: out-of-fold predictions that judge a search."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tunesmith import plan as planning
from tunesmith.core.ending import EndReason
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, Trial, fold_name
from tunesmith.jobs.training import folds, train
from tunesmith.jobs.training.folds import (
    JUDGING,
    OutOfFold,
    Predictors,
    are_telling,
    fold_trial,
    joined,
    of_all,
    with_folds,
)
from tunesmith.jobs.training.timing import end_of_training
from tunesmith.records.events import SliceDone
from tunesmith.training.slice import Checkpoint

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
    monkeypatch.setattr(folds, "HARDLY", 0.0)
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
    monkeypatch.setattr(folds, "HARDLY", 0.0)
    with session_in(tmp_path, budget=30, model=SCRATCH, trials=0) as session:
        candidate = candidate_of(session)
        ends_at = session.clock.elapsed() + 3
        _, predicted = with_folds(session, candidate, ends_at, extended=False)
        z_NK, places_N = joined(candidate, predicted.parts)
        assert z_NK.shape == (len(places_N), 2)
        assert sorted(places_N) == sorted(candidate.prepared.split.train)


def trained_as(candidate: Candidate, seen: int, reason: EndReason) -> Trained:
    """What a training leaves, except that nothing was learned."""
    weights = candidate.untrained(candidate.prepared.train).state_dict()
    good = Checkpoint(seen=seen, network=weights, average=weights, optimizer={})
    return Trained(checkpoint=good, config=candidate.chosen.train, reason=reason)


def test_folds_whose_networks_were_hardly_trained_are_missing(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "folds_in", lambda *_, **__: (99, 0.5))
    monkeypatch.setattr(planning, "fold_epochs", lambda **_: 10.0)  # 570 or 580 examples
    with session_in(tmp_path, budget=30, model=SCRATCH, trials=0) as session:
        candidate = candidate_of(session)

        def parts(final: int, *seen: int, last: EndReason = EndReason.TIME) -> list[int]:
            """Folds that are predicted by networks that saw so many examples."""
            reasons = [*[EndReason.TIME] * len(seen), last]
            ends = iter(zip((final, *seen), reasons, strict=True))
            monkeypatch.setattr(
                folds, "run_trial", lambda *_, **__: trained_as(candidate, *next(ends))
            )
            _, predicted = with_folds(session, candidate, 9.0, extended=False)
            held = [candidate.prepared.without_fold(fold)[1].tolist() for fold in range(len(seen))]
            return [held.index(places_N.tolist()) for _, places_N in predicted.parts]

        assert parts(5000, 500, 499, 1000, 0, 500) == [0, 2, 4]
        assert parts(50_000, 580, 569, 580, 5000, 580) == [0, 2, 3, 4]  # it tells something
        assert parts(5000, 0, 0, 0, 0, 0) == []
        assert parts(5000, 900, 900, 900, 900, 900, last=EndReason.INTERRUPTED) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("had", "ends_at", "ends"),
    [
        ({}, 100.0, [50.0, 75.0, 100.0]),
        ({"convnet": 40.0}, 60.0, [10.0, 35.0, 60.0]),
        ({"convnet": 50.0, "convnet, fold 1": 10.0}, 40.0, [0.0, 15.0, 40.0]),
        ({"convnet, fold 1": 20.0}, 80.0, [50.0, 55.0, 80.0]),  # in a race
        ({"convnet": 50.0, "convnet, fold 1": 25.0, "convnet, fold 2": 25.0}, -20.0, [-20.0, 0, 0]),
    ],
)
def test_what_was_trained_before_counts_towards_its_share(
    session_in: SessionIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    had: dict[str, float],
    ends_at: float,
    ends: list[float],
) -> None:
    now, found = [0.0], []
    with session_in(tmp_path, now=lambda: now[0], budget=30, model=SCRATCH, trials=0) as session:
        candidate = candidate_of(session)
        for name, seconds in had.items():
            session.record(
                SliceDone(trial=name, begin=0, end=8, seconds=seconds, checkpoint="", rows=())
            )

        def folds_in(*_: object, seconds: float, **__: object) -> tuple[int, float]:
            assert seconds == 100  # however late it is: folds that were trained stay
            return 2, 0.5

        def run_trial(_session: Session, trial: Trial, **_: object) -> Trained:
            found.append(trial.ends_at)
            now[0] = max(now[0], trial.ends_at)
            return trained_as(candidate, 5000, EndReason.TIME)

        monkeypatch.setattr(planning, "folds_in", folds_in)
        monkeypatch.setattr(folds, "run_trial", run_trial)
        monkeypatch.setattr(folds, "answering_s", lambda *_: 0.0)
        with_folds(session, candidate, ends_at, extended=False)
        assert found == pytest.approx(ends)


def test_where_a_fold_that_judges_is_missing_nothing_is_compared(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_in(tmp_path, budget=30, model=SCRATCH, trials=3) as session:
        candidate = candidate_of(session)
        held = [candidate.prepared.without_fold(fold)[1] for fold in range(1, JUDGING)]
        parts = [(np.zeros((len(places_N), 2), np.float32), places_N) for places_N in held]
        found = trained_as(candidate, 5000, EndReason.TIME), OutOfFold(parts=parts, by=Predictors())
        searched = SimpleNamespace(tuned=lambda candidate, **_: candidate)
        monkeypatch.setattr(train, "with_folds", lambda *_, **__: found)
        monkeypatch.setattr(train, "_search", lambda *_, **__: searched)
        assert train._train_small(session, candidate, 9.0, extended=False).choice is None


def test_a_slow_network_that_a_search_finds_is_left_time_to_answer(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, given = {}, {"budget": 1000, "model": SCRATCH, "trials": 3}

    def with_folds(_: Session, each: Candidate, ends_at: float, **__: object) -> object:
        ends[each.name] = ends_at
        return trained_as(each, 5000, EndReason.TIME), OutOfFold(parts=[], by=Predictors())

    with session_in(tmp_path, now=lambda: 0.0, **given) as session:
        candidate = candidate_of(session)
        slow = candidate.chosen.model_copy(update={"answers_per_s": 1.0, "images_per_s": 1.0})
        found = replace(candidate, chosen=slow, number=1)
        searched = SimpleNamespace(tuned=lambda *_, **__: found)
        monkeypatch.setattr(train, "with_folds", with_folds)
        monkeypatch.setattr(train, "_search", lambda *_, **__: searched)
        train._train_small(session, candidate, 900.0, extended=False)
        assert ends[found.name] == end_of_training(session, [candidate, found]) < 850


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
