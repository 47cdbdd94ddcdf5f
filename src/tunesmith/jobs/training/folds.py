"""Train a network on all images, or on the rest of each fold for out-of-fold predictions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.core.spread import spread
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, Trial, fold_name
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.timing import answering_s
from tunesmith.jobs.training.together import Logits
from tunesmith.jobs.training.untuned import answers_alone, head_alone, is_brief

VALIDATED = 2000  # validation images for the learning curve, at most

Part = tuple[Logits, NDArray[np.int64]]


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
) -> tuple[Trained, list[Part]]:
    """Train on all images, and on the rest of each fold, or of as many as there is time for.

    Returns:
        Result of the training on all images, and logits and labels of each fold's images.
    """
    now = session.clock.elapsed()
    folds, share = _folds(candidate, ends_at - now)
    trial = main_trial(candidate, now + (ends_at - now) * (1 - share))
    trained = run_trial(session, trial, extended=extended)
    parts, head_parts = _out_of_fold(session, candidate, ends_at, folds=folds, extended=extended)
    if not parts or len(head_parts) < len(parts):
        return trained, parts
    (head_NK, y_N), (tuned_NK, _) = (joined(candidate, each) for each in (head_parts, parts))
    examples = trained.checkpoint.seen
    if not answers_alone(session, head_NK, tuned_NK, y_N, examples=examples):
        return trained, parts
    return head_alone(trial, trained), head_parts


def _folds(candidate: Candidate, seconds: float) -> tuple[int, float]:
    """Return how many folds to predict, all if a search is judged by them, and their time share."""
    chosen, folds = candidate.chosen, candidate.prepared.split.folds
    assert folds is not None
    there = int(folds.max()) + 1
    if chosen.search is not None:
        return there, planning.FOLD_SHARE
    count, share = planning.folds_in(
        len(candidate.prepared.train),
        seconds=seconds,
        images_per_s=chosen.images_per_s,
        pretrained=candidate.family.pretrained is not None,
    )
    return min(there, count), share


def _out_of_fold(
    session: Session, candidate: Candidate, finish_at: float, *, folds: int, extended: bool
) -> tuple[list[Part], list[Part]]:
    """Return logits and labels of each fold's images, by a network trained without them.

    After an interruption, folds that were not trained yet are missing. The second list is by
    networks with their head alone fitted, where fine-tuning was brief.
    """
    prepared, asked = candidate.prepared, 2 if candidate.family.pretrained else 1
    parts: list[Part] = []
    head_parts: list[Part] = []
    for fold in range(folds):
        if session.interrupted.is_set():
            break
        x_NCHW, y_N = prepared.part(prepared.without_fold(fold)[1])
        now = session.clock.elapsed()
        asking_s = answering_s(session, candidate, asked * len(y_N))
        share_s = (finish_at - now) / (folds - fold)
        trial = fold_trial(candidate, fold, now + max(0.0, share_s - asking_s))
        trained = run_trial(session, trial, extended=extended)
        parts.append((candidate.logits(candidate.deploy(trained), x_NCHW), y_N))
        if is_brief(candidate, trained):
            head = candidate.deploy(head_alone(trial, trained))
            head_parts.append((candidate.logits(head, x_NCHW), y_N))
    return parts, head_parts


def joined(candidate: Candidate, parts: Sequence[Part]) -> Part:
    """Concatenate logits and labels; empty if there are none."""
    none: Part = np.zeros((0, candidate.classes), np.float32), np.zeros(0, np.int64)
    logits, labels = zip(none, *parts, strict=True)
    return np.concatenate(logits), np.concatenate(labels)
