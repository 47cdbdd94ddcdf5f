"""Train the model that is handed over, and what its probabilities are calibrated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.jobs.candidate import ANSWERS_PER_S, Candidate
from tunesmith.jobs.session import Session
from tunesmith.jobs.slices import run_trial
from tunesmith.jobs.together import choose_answering
from tunesmith.jobs.trial import Trained, Trial, fold_name
from tunesmith.models.preprocess import Deployed
from tunesmith.models.views import passes

SLOWER_TOGETHER = 1.6  # times the sum of their own times that networks in one graph take
VALIDATED = 2000  # images in the learning curve's validation, at most


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, before calibration.

    Attributes:
        members: Whose networks answer, one or several.
        deployed: From bytes to probabilities, temperature still 1.
        trained: How the training of the first member went.
        z_NK: Logits of images that the networks giving them never saw, for calibration.
        y_N: Their classes.
    """

    members: tuple[Candidate, ...]
    deployed: Deployed
    trained: Trained
    z_NK: NDArray[np.float32]
    y_N: NDArray[np.int64]


def train_all(session: Session, candidates: Sequence[Candidate], *, extended: bool) -> Fitted:
    """Train within the time that the plan leaves, and get logits for calibration.

    Several candidates get equal shares of the time; then the best of them answers, or all together.
    """
    prepared = candidates[0].prepared
    begun, finish_at = session.clock.elapsed(), end_of_training(session, candidates)
    if prepared.split.folds is None:
        trials = []
        for number, candidate in enumerate(candidates, start=1):
            ends_at = begun + (finish_at - begun) * number / len(candidates)
            trained = run_trial(session, main_trial(candidate, ends_at), extended=extended)
            trials.append((candidate, trained))
        return _fitted(session, trials)
    (candidate,) = candidates
    main_at = begun + (finish_at - begun) * (1 - planning.FOLD_SHARE)
    trained = run_trial(session, main_trial(candidate, main_at), extended=extended)
    deployed = candidate.deploy(trained)
    z_NK, y_N = _out_of_fold(session, candidate, finish_at, extended=extended)
    return Fitted(members=(candidate,), deployed=deployed, trained=trained, z_NK=z_NK, y_N=y_N)


def end_of_training(session: Session, candidates: Sequence[Candidate]) -> float:
    """When training must be over: time is left for all answers that are asked afterwards."""
    slower = SLOWER_TOGETHER if len(candidates) > 1 else 1.0
    asking_s = slower * sum(_asking_s(session, candidate) for candidate in candidates)
    return session.settings.budget - planning.most_reserved(session.settings.budget, asking_s)


def _asking_s(session: Session, candidate: Candidate) -> float:
    """Seconds that answers will take to all images that are not trained on.

    The network itself has told its speed if it was validated in a race; else a probe has.
    """
    split, trial = candidate.prepared.split, session.journal.history.trials.get(candidate.name)
    told = [block.metrics.get(ANSWERS_PER_S, 0.0) for block in trial.blocks] if trial else []
    asked = len(split.test) + len(split.selection) + len(split.calibration)
    return (
        passes(candidate.views[-1])
        * asked
        / max(1.0, max(told, default=candidate.chosen.answers_per_s))
    )


def _fitted(session: Session, trials: Sequence[tuple[Candidate, Trained]]) -> Fitted:
    (candidate, trained), *others = trials
    prepared = candidate.prepared
    if others:
        members, trained, deployed = choose_answering(session, trials)
    else:
        members = (candidate,)
        deployed = candidate.deploy(trained)
        candidate.settle(deployed, *prepared.part(prepared.split.selection))
    x_NCHW, y_N = prepared.part(prepared.split.calibration)
    z_NK = members[0].logits(deployed, x_NCHW)
    return Fitted(members=members, deployed=deployed, trained=trained, z_NK=z_NK, y_N=y_N)


def main_trial(candidate: Candidate, ends_at: float) -> Trial:
    """The training of what is handed over; validated where images are held out for that."""
    prepared = candidate.prepared
    validate = None
    if prepared.split.folds is None:
        validate = candidate.validate(*prepared.part(prepared.split.validation[:VALIDATED]))
    return candidate.trial(candidate.name, prepared.train, ends_at, validate)


def fold_trial(candidate: Candidate, fold: int, ends_at: float) -> Trial:
    """The training without a fold; the first is validated on the images it does not see."""
    data, held = candidate.prepared.without_fold(fold)
    validate = candidate.validate(*candidate.prepared.part(held)) if fold == 0 else None
    return candidate.trial(fold_name(candidate.name, fold), data, ends_at, validate)


def _out_of_fold(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of each training image by a network that was trained without its fold.

    An interruption leaves out the folds that were not trained yet.
    """
    prepared, folds = candidate.prepared, candidate.prepared.split.folds
    assert folds is not None
    count = int(folds.max()) + 1
    parts: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    for fold in range(count):
        if session.interrupted.is_set():
            break
        now = session.clock.elapsed()
        trial = fold_trial(candidate, fold, now + (finish_at - now) / (count - fold))
        trained = run_trial(session, trial, extended=extended)
        deployed = candidate.deploy(trained)
        x_NCHW, y_N = prepared.part(prepared.without_fold(fold)[1])
        parts.append((candidate.logits(deployed, x_NCHW), y_N))
    if not parts:
        classes = len(prepared.source.classes)
        return np.zeros((0, classes), np.float32), np.zeros(0, np.int64)
    return np.concatenate([z for z, _ in parts]), np.concatenate([y for _, y in parts])
