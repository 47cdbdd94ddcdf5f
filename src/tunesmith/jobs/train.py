"""Train the model that is handed over, and what its probabilities are calibrated on."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.session import Session
from tunesmith.jobs.slices import run_trial
from tunesmith.jobs.trial import Trained, Trial, fold_name
from tunesmith.models.preprocess import Deployed

VALIDATED = 2000  # images in the learning curve's validation, at most


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, before calibration.

    Attributes:
        deployed: The network from bytes to probabilities, temperature still 1.
        trained: How its training went.
        z_NK: Logits of images that the network giving them never saw, for calibration.
        y_N: Their classes.
    """

    deployed: Deployed
    trained: Trained
    z_NK: NDArray[np.float32]
    y_N: NDArray[np.int64]


def train_all(session: Session, candidate: Candidate, *, extended: bool) -> Fitted:
    """Train within the time that the plan leaves, and get logits for calibration."""
    prepared = candidate.prepared
    finish_at = session.settings.budget - candidate.chosen.reserve_s
    if prepared.split.folds is None:
        trained = run_trial(session, main_trial(candidate, finish_at), extended=extended)
        deployed = candidate.deploy(trained, *prepared.part(prepared.split.selection))
        x_NCHW, y_N = prepared.part(prepared.split.calibration)
        return Fitted(
            deployed=deployed, trained=trained, z_NK=candidate.logits(deployed, x_NCHW), y_N=y_N
        )
    begun = session.clock.elapsed()
    main_at = begun + (finish_at - begun) * (1 - planning.FOLD_SHARE)
    trained = run_trial(session, main_trial(candidate, main_at), extended=extended)
    deployed = candidate.deploy(trained, None, None)
    z_NK, y_N = _out_of_fold(session, candidate, finish_at, extended=extended)
    return Fitted(deployed=deployed, trained=trained, z_NK=z_NK, y_N=y_N)


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
        deployed = candidate.deploy(trained, None, None)
        x_NCHW, y_N = prepared.part(prepared.without_fold(fold)[1])
        parts.append((candidate.logits(deployed, x_NCHW), y_N))
    if not parts:
        classes = len(prepared.source.classes)
        return np.zeros((0, classes), np.float32), np.zeros(0, np.int64)
    return np.concatenate([z for z, _ in parts]), np.concatenate([y for _, y in parts])
