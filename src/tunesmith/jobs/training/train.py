"""Train the final model, and get predictions to calibrate it on."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, network_of
from tunesmith.jobs.search.search import search
from tunesmith.jobs.search.searched import Searched
from tunesmith.jobs.training.answering import Finished, answering, choose_answering, luck
from tunesmith.jobs.training.folds import (
    JUDGING,
    OutOfFold,
    Part,
    Predictors,
    are_telling,
    joined,
    main_trial,
    of_all,
    with_folds,
)
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.timing import deadlines, end_of_training, trained_seconds
from tunesmith.jobs.training.together import Choice, Logits, averaged, choose
from tunesmith.jobs.training.untuned import tuned_or_head
from tunesmith.models.preprocess import Deployed

# The first fold, on which a search is validated all the time, and those that it never saw.
SPLIT = slice(0, 1), slice(1, None)
T = TypeVar("T")
FOUND_SLACK = 1.1  # training time for the config that a search finds, over that of the plan's


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, before calibration.

    Attributes:
        members: Candidates that form the model, one or several.
        deployed: From uint8 images to probabilities, temperature still 1.
        trained: Result of the first member's training.
        z_NK: Logits for calibration, by networks that were not trained on these images.
        places_N: Indices of these images in the decoded data.
        by: What made these logits if the images are those of folds; else the model itself did.
        choice: Choice of the members; None if there was only one network.
        searched: Result of the search for a better config; None if there was none.
    """

    members: tuple[Candidate, ...]
    deployed: Deployed
    trained: Trained
    z_NK: NDArray[np.float32]
    places_N: NDArray[np.int64]
    by: Predictors
    choice: Choice | None = None
    searched: Searched | None = None

    @property
    def labels(self) -> NDArray[np.int64]:
        """Classes of the images for calibration."""
        labels: NDArray[np.int64] = self.members[0].prepared.labels[self.places_N]
        return labels


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
        trial = main_trial(candidate, ends_at)
        trained = run_trial(session, trial, extended=extended)
        trials.append((candidate, tuned_or_head(session, candidate, trial, trained)))

    def train(found: Candidate) -> Trained:
        finish_at = end_of_training(session, [*candidates, found])  # it may answer more slowly
        return run_trial(session, main_trial(found, finish_at), extended=extended)

    searched = _search(session, first, finish_at, extended=extended)
    searched, found = train_found(session, first, searched, train)
    return _fitted(session, [*trials, found] if found else trials, searched)


def _train_small(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> Fitted:
    """Train on all images, and without each fold, for out-of-fold predictions of all images."""
    (ends_at,) = deadlines(session, [candidate], finish_at)
    trained, predicted = with_folds(session, candidate, ends_at, extended=extended)
    z_NK, places_N = joined(candidate, predicted.parts)

    def train(found: Candidate) -> tuple[Trained, OutOfFold]:
        finish_at = end_of_training(session, [candidate, found])  # it may answer more slowly
        return with_folds(session, found, finish_at, extended=extended)

    searched = _search(session, candidate, finish_at, extended=extended)
    searched, second = train_found(session, candidate, searched, train)
    fitted = Fitted(
        members=(candidate,),
        deployed=candidate.deploy(trained),
        trained=trained,
        z_NK=z_NK,
        places_N=places_N,
        by=predicted.by,
        searched=searched,
    )
    if second is None:
        return fitted
    found, (found_trained, seconds) = second
    judging = min(candidate.prepared.folds, JUDGING)
    if min(len(predicted.parts), len(seconds.parts)) < judging:  # some were hardly trained
        return fitted
    trials = [(candidate, trained), (found, found_trained)]
    return _choose_small(session, fitted, trials, [predicted, seconds])


def _choose_small(
    session: Session,
    fitted: Fitted,
    trials: Sequence[Finished],
    predicted: Sequence[OutOfFold],
) -> Fitted:
    """Choose by the out-of-fold predictions."""
    parts = [each.parts for each in predicted]
    candidates, deployed = [candidate for candidate, _ in trials], [fitted.deployed]
    deployed += [candidate.deploy(trained) for candidate, trained in trials[1:]]
    seen, unseen = (_labeled(candidates[0], [each[some] for each in parts]) for some in SPLIT)
    choice = choose(
        candidates,
        *unseen,
        metric=session.settings.metric,
        alone=bool(session.settings.limit),
        are_telling=are_telling(session, candidates, folds=len(parts[0])),
    )
    session.note(choice.reason, lasting=False)
    choice = replace(choice, luck=luck(seen, unseen))
    answer = answering(trials, deployed, choice)
    logits = [joined(candidates[0], each)[0] for each in parts]
    z_NK = logits[choice.members[0]]
    if len(choice.members) > 1:
        z_NK = averaged(logits, choice.temperatures, choice.members)
    return replace(
        fitted,
        members=answer.members,
        deployed=answer.deployed,
        trained=answer.trained,
        z_NK=z_NK,
        by=of_all([predicted[place].by for place in choice.members]),
        choice=choice,
    )


def _labeled(
    candidate: Candidate, parts: Sequence[Sequence[Part]]
) -> tuple[list[Logits], NDArray[np.int64]]:
    """Join the logits of each network; return them with the labels of these images."""
    whole = [joined(candidate, each) for each in parts]
    return [z_NK for z_NK, _ in whole], candidate.prepared.labels[whole[0][1]]


def _search(
    session: Session, candidate: Candidate, finish_at: float, *, extended: bool
) -> Searched | None:
    """Search, but leave the time to train the config that is found.

    Once the run is interrupted, this only recalls what was found and trained before, if anything.
    """
    if candidate.chosen.search is None:
        return None
    trained = any(name.startswith(f"{candidate.name} ") for name in _examples(session))
    if session.interrupted.is_set() and not trained:
        return None
    own_s = trained_seconds(session, candidate.name)
    with session.phase("search"):
        ends_at = finish_at - FOUND_SLACK * own_s
        return search(session, candidate, ends_at=ends_at, extended=extended)


def train_found(
    session: Session,
    candidate: Candidate,
    searched: Searched | None,
    train: Callable[[Candidate], T],
) -> tuple[Searched | None, tuple[Candidate, T] | None]:
    """Train the network that a search found.

    Once the run is interrupted, another one of those that were ever found takes its place, since
    the run may have answered with it: one whose training has ended if there is any, and among
    equals that with the most examples.

    Args:
        session: Session of this process.
        candidate: Plan whose config was searched around, and its network.
        searched: Result of the search; None if there was none.
        train: Trains a network; once the run is interrupted, returns how it was trained so far.

    Returns:
        The search, with the number of that network; and the network, with what ``train`` returned.
        None for the latter if there is none that was trained.
    """
    is_late = session.interrupted.is_set()
    if searched and is_late:
        examples, trials = _examples(session), session.journal.history.trials
        seen = {
            n: (name in trials and trials[name].ended is not None, examples[name])
            for n, name in enumerate(searched.names)
            if n and name in examples
        }
        if not seen:
            return searched, None
        searched = replace(searched, number=max(seen, key=lambda n: (*seen[n], n)))
    found = searched and searched.tuned(candidate, budget=session.settings.budget)
    if found is None:
        return searched, None
    done = train(found)
    if session.interrupted.is_set() and not is_late:  # it may be hardly trained, unlike another one
        return train_found(session, candidate, searched, train)
    return searched, (found, done)


def _examples(session: Session) -> Counter[str]:
    """Examples that each network was trained with so far, trainings without a fold included."""
    examples = Counter[str]()
    for name, trial in session.journal.history.trials.items():
        examples[network_of(name)] += trial.seen
    return +examples  # without those that have not begun


def _fitted(session: Session, trials: Sequence[Finished], searched: Searched | None) -> Fitted:
    (candidate, trained), *others = trials
    finals = searched and searched.finals
    prepared, choice = candidate.prepared, None
    if others:
        answer = choose_answering(session, trials, finalists=finals.compared if finals else 1)
        members, trained, deployed = answer.members, answer.trained, answer.deployed
        choice = answer.choice
    else:
        members = (candidate,)
        deployed = candidate.deploy(trained)
        candidate.settle(deployed, *prepared.part(prepared.split.selection))
    places_N = prepared.split.calibration
    z_NK = members[0].logits(deployed, prepared.part(places_N)[0])
    return Fitted(
        members=members,
        deployed=deployed,
        trained=trained,
        z_NK=z_NK,
        places_N=places_N,
        by=Predictors(),
        choice=choice,
        searched=searched,
    )
