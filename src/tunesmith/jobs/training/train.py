"""Train the final model, and get predictions to calibrate it on."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.core.spread import spread
from tunesmith.jobs.run.candidate import ANSWERS_PER_S, Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, Trial, fold_name, network_of
from tunesmith.jobs.search.search import Searched, search
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.together import (
    Choice,
    Finished,
    Logits,
    answering,
    averaged,
    choose,
    choose_answering,
)
from tunesmith.models.preprocess import Deployed
from tunesmith.models.views import passes

SLOWER_EXPORTED = 1.3  # inference time of a pretrained network's graph over the network's own
SLOWER_TOGETHER = 1.6  # inference time of an ensemble over the sum of its networks' times
VALIDATED = 2000  # validation images for the learning curve, at most
FOUND_SLACK = 1.1  # training time for the config that a search finds, over that of the plan's

Part = tuple[Logits, NDArray[np.int64]]


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, before calibration.

    Attributes:
        members: Candidates that form the model, one or several.
        deployed: From uint8 images to probabilities, temperature still 1.
        trained: Result of the first member's training.
        z_NK: Logits for calibration, by networks that were not trained on these images.
        y_N: Their labels.
        choice: Choice of the members; None if there was only one network.
        searched: Result of the search for a better config; None if there was none.
    """

    members: tuple[Candidate, ...]
    deployed: Deployed
    trained: Trained
    z_NK: NDArray[np.float32]
    y_N: NDArray[np.int64]
    choice: Choice | None = None
    searched: Searched | None = None


def train_all(session: Session, candidates: Sequence[Candidate], *, extended: bool) -> Fitted:
    """Train within the time that the plan leaves, and get logits for calibration.

    Several candidates get equal shares of the time; then the best one is chosen, or an ensemble of
    all. If a search is planned, it and the training of the config that it finds get a share each as
    well, and the latter is one more candidate.
    """
    (first, *_), is_searched = candidates, candidates[0].chosen.search is not None
    finish_at = end_of_training(session, [*candidates, first] if is_searched else candidates)
    if first.prepared.split.folds is not None:
        return _train_small(session, first, finish_at, extended=extended)
    trials = []
    ends = deadlines(session, candidates, finish_at)
    for candidate, ends_at in zip(candidates, ends, strict=True):
        trained = run_trial(session, main_trial(candidate, ends_at), extended=extended)
        trials.append((candidate, trained))
    searched = _search(session, first, finish_at, extended=extended)
    if searched and (found := searched.tuned(first)) and not session.interrupted.is_set():
        trained = run_trial(session, main_trial(found, finish_at), extended=extended)
        trials.append((found, trained))
    return replace(_fitted(session, trials), searched=searched)


def trained_seconds(session: Session, network: str) -> float:
    """Seconds for which a network was trained so far, trainings without a fold included."""
    trials = session.journal.history.trials
    return sum(trial.seconds for name, trial in trials.items() if network_of(name) == network)


def deadlines(session: Session, candidates: Sequence[Candidate], finish_at: float) -> list[float]:
    """Deadlines of the candidates' trainings, one after the other, in equal shares of the time.

    A run that goes on, with the same budget or a larger one, shares out all the time that it has
    had for training and has now, as if it were one session. What a network has had counts towards
    its share.
    """
    begun, history = session.clock.elapsed(), session.journal.history
    shares = len(candidates) + (2 if candidates[0].chosen.search is not None else 0)
    had_s, past_s = [0.0] * len(candidates), 0.0
    if len(history.sessions) > 1:
        had_s = [trained_seconds(session, candidate.name) for candidate in candidates]
        past_s = sum(trial.seconds for trial in history.trials.values())
        past_s += history.phases.get("search", 0.0)
    each_s = (finish_at - begun + past_s) / shares
    ends = itertools.accumulate((max(0.0, each_s - had) for had in had_s), initial=begun)
    return [min(finish_at, at) for at in ends][1:]


def _train_small(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> Fitted:
    """Train on all images, and without each fold, for out-of-fold predictions of all images."""
    (ends_at,) = deadlines(session, [candidate], finish_at)
    trained, parts = _with_folds(session, candidate, ends_at, extended=extended)
    z_NK, y_N = _joined(candidate, parts)
    fitted = Fitted(
        members=(candidate,),
        deployed=candidate.deploy(trained),
        trained=trained,
        z_NK=z_NK,
        y_N=y_N,
        searched=_search(session, candidate, finish_at, extended=extended),
    )
    found = fitted.searched and fitted.searched.tuned(candidate)
    if found is None or session.interrupted.is_set():
        return fitted
    second, seconds = _with_folds(session, found, finish_at, extended=extended)
    if len(seconds) < len(parts):  # an interruption: there is nothing to compare
        return fitted
    return _choose_small(session, fitted, [(candidate, trained), (found, second)], [parts, seconds])


def _choose_small(
    session: Session,
    fitted: Fitted,
    trials: Sequence[Finished],
    parts: Sequence[Sequence[Part]],
) -> Fitted:
    """Choose by the out-of-fold predictions."""
    candidates, deployed = [candidate for candidate, _ in trials], [fitted.deployed]
    deployed += [candidate.deploy(trained) for candidate, trained in trials[1:]]
    # Not on the first fold: the search was validated on it all the time.
    unseen = [_joined(candidates[0], each[1:]) for each in parts]
    choice = choose(
        candidates,
        [z_NK for z_NK, _ in unseen],
        unseen[0][1],
        metric=session.settings.metric,
        alone=bool(session.settings.limit),
    )
    session.note(choice.reason)
    answer = answering(trials, deployed, choice)
    logits = [_joined(candidates[0], each)[0] for each in parts]
    members = choice.members
    return replace(
        fitted,
        members=answer.members,
        deployed=answer.deployed,
        trained=answer.trained,
        z_NK=averaged(logits, choice.temperatures) if len(members) > 1 else logits[members[0]],
        choice=choice,
    )


def _search(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> Searched | None:
    """Search, but leave the time to train the config that is found."""
    if candidate.chosen.search is None or session.interrupted.is_set():
        return None
    own_s = trained_seconds(session, candidate.name)
    with session.phase("search"):
        ends_at = finish_at - FOUND_SLACK * own_s
        return search(session, candidate, ends_at=ends_at, extended=extended)


def end_of_training(session: Session, candidates: Sequence[Candidate]) -> float:
    """Deadline of training: time is left for all predictions that are made afterwards."""
    slower = SLOWER_TOGETHER if len(candidates) > 1 else 1.0
    asking_s = slower * sum(_asking_s(session, candidate) for candidate in candidates)
    asking_s += candidates[0].chosen.reread_s
    deep = any(candidate.family.pretrained for candidate in candidates)
    budget = session.settings.budget
    return budget - planning.most_reserved(budget, asking_s, pretrained=deep)


def _asking_s(session: Session, candidate: Candidate) -> float:
    """Estimate how long it takes to predict all images that are not trained on, at the end."""
    split = candidate.prepared.split
    asked = len(split.test) + len(split.selection) + len(split.calibration)
    asked += 2 * min(planning.VERIFIED, len(split.train))
    return _answering_s(session, candidate, asked)


def _answering_s(session: Session, candidate: Candidate, images: int) -> float:
    """Estimate how long it takes to predict images.

    The speed is that of the network's validations, or else that of the probe.
    """
    trial = session.journal.history.trials.get(candidate.name)
    told = [block.metrics.get(ANSWERS_PER_S, 0.0) for block in trial.blocks] if trial else []
    rate = statistics.median(told) if told else candidate.chosen.answers_per_s
    slower = SLOWER_EXPORTED if candidate.family.pretrained else 1.0
    return slower * passes(candidate.views[-1]) * images / max(1.0, rate)


def _fitted(session: Session, trials: Sequence[Finished]) -> Fitted:
    (candidate, trained), *others = trials
    prepared, choice = candidate.prepared, None
    if others:
        answer = choose_answering(session, trials)
        members, trained, deployed = answer.members, answer.trained, answer.deployed
        choice = answer.choice
    else:
        members = (candidate,)
        deployed = candidate.deploy(trained)
        candidate.settle(deployed, *prepared.part(prepared.split.selection))
    x_NCHW, y_N = prepared.part(prepared.split.calibration)
    z_NK = members[0].logits(deployed, x_NCHW)
    return Fitted(
        members=members, deployed=deployed, trained=trained, z_NK=z_NK, y_N=y_N, choice=choice
    )


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


def _with_folds(
    session: Session, candidate: Candidate, ends_at: float, *, extended: bool
) -> tuple[Trained, list[Part]]:
    """Train on all images, and for each fold on the rest; see `_out_of_fold`."""
    now = session.clock.elapsed()
    main_at = now + (ends_at - now) * (1 - planning.FOLD_SHARE)
    trained = run_trial(session, main_trial(candidate, main_at), extended=extended)
    return trained, _out_of_fold(session, candidate, ends_at, extended=extended)


def _out_of_fold(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> list[Part]:
    """Return logits and labels of each fold's images, by a network trained without them.

    After an interruption, folds that were not trained yet are missing.
    """
    prepared, folds = candidate.prepared, candidate.prepared.split.folds
    assert folds is not None
    count = int(folds.max()) + 1
    parts: list[Part] = []
    for fold in range(count):
        if session.interrupted.is_set():
            break
        x_NCHW, y_N = prepared.part(prepared.without_fold(fold)[1])
        now, asking_s = session.clock.elapsed(), _answering_s(session, candidate, len(y_N))
        share_s = (finish_at - now) / (count - fold)
        trial = fold_trial(candidate, fold, now + max(0.0, share_s - asking_s))
        trained = run_trial(session, trial, extended=extended)
        deployed = candidate.deploy(trained)
        parts.append((candidate.logits(deployed, x_NCHW), y_N))
    return parts


def _joined(candidate: Candidate, parts: Sequence[Part]) -> Part:
    """Concatenate logits and labels; empty if there are none."""
    none: Part = np.zeros((0, candidate.classes), np.float32), np.zeros(0, np.int64)
    logits, labels = zip(none, *parts, strict=True)
    return np.concatenate(logits), np.concatenate(labels)
