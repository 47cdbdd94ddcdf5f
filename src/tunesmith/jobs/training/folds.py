"""Train a network on all images, or on the rest of each fold for out-of-fold predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.core.ending import EndReason
from tunesmith.core.spread import spread
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, Trial, fold_name
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.timing import answering_s, trained_seconds
from tunesmith.jobs.training.together import Logits
from tunesmith.jobs.training.untuned import answers, answers_alone, head_alone, is_brief

VALIDATED = 2000  # validation images for the learning curve, at most
# A search is judged by networks that are trained half as long as the final one: in a small fraction
# of that, what learns fastest would win. So there are few; the first tells how much was luck.
JUDGING, JUDGING_SHARE = 3, 0.6
HARDLY = 0.1  # share of the final network's examples; a fold's gets a fifth of them at least

Part = tuple[Logits, NDArray[np.int64]]  # of some images, and their indices in the decoded data


@final
@dataclass(frozen=True, kw_only=True)
class Predictors:
    """What predicted the images of folds, and how it compares with what answers.

    Attributes:
        are_heads: Whether they were pretrained networks of which only the head was fitted without
            the fold, rather than networks that were trained without it.
        share: Examples that they were trained with on average, as a share of the final network's;
            1 if it was not trained beyond its head either.
    """

    are_heads: bool = False
    share: float = 1.0


@final
@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """Predictions of the images of folds.

    Attributes:
        parts: Those of each fold; some are missing if their networks were hardly trained.
        by: What made them.
    """

    parts: list[Part]
    by: Predictors


@final
@dataclass(frozen=True, kw_only=True)
class _Predicted:
    """Predictions of a fold's images.

    Attributes:
        part: By a network trained without them.
        head: By the same network as its training began; None if that is not asked.
        examples: Number of examples that it was trained with.
    """

    part: Part
    head: Part | None
    examples: int


def main_trial(candidate: Candidate, ends_at: float) -> Trial:
    """Plan the training of the final model; validated if images are held out for that."""
    prepared = candidate.prepared
    validate = None
    if prepared.split.folds is None:
        some = spread(prepared.split.validation, VALIDATED)
        validate = candidate.validate(*prepared.part(some))
    return candidate.trial(candidate.name, prepared.train, ends_at, validate)


def fold_trial(candidate: Candidate, fold: int, ends_at: float) -> Trial:
    """Plan the training without a fold; only the first is validated, on its held-out images."""
    data, held = candidate.prepared.without_fold(fold)
    validate = candidate.validate(*candidate.prepared.part(held)) if fold == 0 else None
    return candidate.trial(fold_name(candidate.name, fold), data, ends_at, validate)


def with_folds(
    session: Session, candidate: Candidate, ends_at: float, *, extended: bool
) -> tuple[Trained, OutOfFold]:
    """Train on all images, and on the rest of each fold, or of as many as there is time for.

    Returns:
        Result of the training on all images, and predictions of each fold's images.
    """
    now = session.clock.elapsed()
    # All the time that this network has had and has now, as if it were one session: otherwise,
    # folds that were trained would be given up, and what was trained before would get more.
    seconds = max(0.0, ends_at - now) + trained_seconds(session, candidate.name)
    folds, share = _folds(candidate, seconds)
    if not _are_tuned(candidate, folds, share * seconds):
        return _with_heads(session, candidate, ends_at, folds=folds, extended=extended)
    main_s = (1 - share) * seconds - _had_s(session, candidate.name)
    trial = main_trial(candidate, min(ends_at, now + max(0.0, main_s)))
    trained = run_trial(session, trial, extended=extended)
    predicted = _out_of_fold(
        session,
        candidate,
        ends_at,
        folds=folds,
        final=trained,
        extended=extended,
    )
    parts = [fold.part for fold in predicted]
    heads = [fold.head for fold in predicted if fold.head]
    tuned = trained, OutOfFold(parts=parts, by=_networks(predicted, trained))
    if not heads:
        return tuned
    (head_NK, places_N), (tuned_NK, _) = (joined(candidate, each) for each in (heads, parts))
    y_N = candidate.prepared.labels[places_N]
    examples = sum(fold.examples for fold in predicted) // len(predicted)
    if not answers_alone(session, head_NK, tuned_NK, y_N, examples=examples):
        return tuned
    return head_alone(trial, trained), OutOfFold(parts=heads, by=Predictors(are_heads=True))


def _networks(predicted: Sequence[_Predicted], trained: Trained) -> Predictors:
    """Return how networks without a fold compare with the one that was trained on all images."""
    final = trained.checkpoint.seen
    if not predicted or not final:
        return Predictors()
    return Predictors(share=sum(fold.examples for fold in predicted) / len(predicted) / final)


def of_all(each: Sequence[Predictors]) -> Predictors:
    """Return what predicted for an ensemble, from what did for each member."""
    return Predictors(
        are_heads=all(by.are_heads for by in each), share=sum(by.share for by in each) / len(each)
    )


def _folds(candidate: Candidate, seconds: float) -> tuple[int, float]:
    """Return how many folds to predict, and their share of the time."""
    chosen, there = candidate.chosen, candidate.prepared.folds
    if chosen.search is not None:
        return min(there, JUDGING), JUDGING_SHARE
    count, share = planning.folds_in(
        len(candidate.prepared.train),
        seconds=seconds,
        images_per_s=chosen.images_per_s,
        pretrained=candidate.family.pretrained is not None,
    )
    return min(there, count), share


def _are_tuned(candidate: Candidate, folds: int, seconds: float) -> bool:
    """Whether there is time to train networks without a fold until they tell something."""
    chosen = candidate.chosen
    return (
        candidate.family.pretrained is None
        or chosen.search is not None
        or planning.can_tune(
            len(candidate.prepared.train),
            folds=folds,
            seconds=seconds,
            images_per_s=chosen.images_per_s,
        )
    )


def _with_heads(
    session: Session, candidate: Candidate, ends_at: float, *, folds: int, extended: bool
) -> tuple[Trained, OutOfFold]:
    """Fine-tune on all images; without a fold, only fit the head, which takes no time."""
    heads = candidate.heads
    parts = [heads.without(fold) for fold in range(heads.folds(folds))]  # before time is up
    trial = main_trial(candidate, ends_at)
    trained = run_trial(session, trial, extended=extended)
    examples, images = trained.checkpoint.seen, len(candidate.prepared.train)
    session.note(planning.heads_words(examples, images), lasting=False)
    is_tuned = planning.is_tuned(examples, images)
    by = Predictors(are_heads=True, share=0.0 if is_tuned else 1.0)
    return trained if is_tuned else head_alone(trial, trained), OutOfFold(parts=parts, by=by)


def _out_of_fold(
    session: Session,
    candidate: Candidate,
    finish_at: float,
    *,
    folds: int,
    final: Trained,
    extended: bool,
) -> list[_Predicted]:
    """Predict the images of folds, each by a network trained without them.

    Folds are missing whose network was not trained, or hardly, compared with the ``final`` one:
    after an interruption, unless their trainings had ended in an earlier session, or after time was
    lost.
    """
    prepared, with_heads = candidate.prepared, is_brief(candidate, final)
    asked = 2 if with_heads else 1
    found: list[_Predicted] = []
    for fold in range(folds):
        past = session.journal.history.trials.get(fold_name(candidate.name, fold))
        was_trained = past is not None and past.ended is not None
        if session.interrupted.is_set() and not was_trained:
            continue
        held = prepared.without_fold(fold)[1]
        x_NCHW, _ = prepared.part(held)
        now = session.clock.elapsed()
        asking_s = answering_s(session, candidate, asked * len(held))
        had_s = [_had_s(session, fold_name(candidate.name, n)) for n in range(fold, folds)]
        share_s = (finish_at - now + sum(had_s)) / len(had_s) - had_s[0]
        trial = fold_trial(candidate, fold, now + max(0.0, share_s - asking_s))
        trained, head = run_trial(session, trial, extended=extended), None
        examples = trained.checkpoint.seen
        least = min(_telling(candidate, fold), HARDLY * final.checkpoint.seen)
        is_cut = trained.reason is EndReason.INTERRUPTED and not was_trained
        if is_cut or examples < least:
            continue
        z_NK = answers(candidate, trained, x_NCHW)
        if with_heads:
            head = answers(candidate, head_alone(trial, trained), x_NCHW), held
        found.append(_Predicted(part=(z_NK, held), head=head, examples=examples))
    return found


def _had_s(session: Session, trial: str) -> float:
    """Seconds of a training so far."""
    past = session.journal.history.trials.get(trial)
    return past.seconds if past else 0.0


def are_telling(session: Session, candidates: Sequence[Candidate], *, folds: int) -> bool:
    """Whether the networks without these folds were trained enough to tell of the final ones."""
    trials = session.journal.history.trials
    return all(
        trials[fold_name(each.name, fold)].seen >= _telling(each, fold)
        for each in candidates
        for fold in range(folds)
    )


def _telling(candidate: Candidate, fold: int) -> float:
    """Number of examples from which on a network without this fold tells of the final one."""
    epochs = planning.fold_epochs(pretrained=candidate.family.pretrained is not None)
    return epochs * len(candidate.prepared.without_fold(fold)[0])


def joined(candidate: Candidate, parts: Sequence[Part]) -> Part:
    """Concatenate logits and indices; empty if there are none."""
    none: Part = np.zeros((0, candidate.classes), np.float32), np.zeros(0, np.int64)
    logits, places = zip(none, *parts, strict=True)
    return np.concatenate(logits), np.concatenate(places)
