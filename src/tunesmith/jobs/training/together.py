"""Combine several trained networks in an ensemble, if that beats the best of them alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.core.spread import spread
from tunesmith.evaluation.calibration import calibrated_losses, fit_temperature, softmax
from tunesmith.evaluation.compare import (
    Optimism,
    advantage,
    compare,
    gains,
    is_lower,
    optimism,
)
from tunesmith.evaluation.metrics import CLASSES_ALIKE, accuracy
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Deployed

FEWEST = 2  # images for a standard error
BRIEF = "There was too little time to judge whether what was found is better alone."
Logits = NDArray[np.float32]
Finished = tuple[Candidate, Trained]


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which networks form the final model.

    Attributes:
        candidates: All candidates.
        members: Indices of those that were chosen.
        temperatures: Temperature of each network.
        accuracies: Accuracy of each network, and of the ensemble: of those that were chosen, or of
            all if one answers alone.
        images: Number of images that decided.
        chance: p-value of the metric's difference between the network that a search found and the
            best other one; None without a search.
        is_brief: Whether the network that a search found might be better alone, but was judged by
            networks that were hardly trained.
        reason: Reason for the choice, in words.
        luck: How much more the network that a search found gained over the plan's on the images
            that the search chose by than on those that decided; None without a search.
    """

    candidates: tuple[Candidate, ...]
    members: tuple[int, ...]
    temperatures: tuple[float, ...]
    accuracies: tuple[float, ...]
    images: int
    chance: float | None
    is_brief: bool
    reason: str
    luck: Optimism | None = None


def choose(
    candidates: Sequence[Candidate],
    logits: Sequence[Logits],
    y_N: NDArray[np.int64],
    *,
    metric: str,
    alone: bool,
    are_telling: bool = True,
) -> Choice:
    """Compare each network and their ensembles on images that none of them has seen.

    Logits are divided by each network's own temperature before they are averaged, so that an
    overconfident network does not dominate. A network whose config was found by a search is used
    alone only if it is significantly better by the metric than the best of the others, and joins
    what answers without it only if that lowers the loss significantly: the best of many trials is
    partly luck.

    Otherwise the loss decides, since it is more informative than right or wrong. If the metric is a
    mean over classes, classes have equal weight in the loss too. An ensemble that is worse by the
    metric than what answers without it is never chosen: the metric is what the user asked for.

    Args:
        candidates: Candidates, one for each network.
        logits: Logits of each network.
        y_N: Labels of the images.
        metric: The user's metric.
        alone: Whether to choose one network only, since an ensemble might exceed the limits.
        are_telling: Whether these networks tell of the final ones. If they were trained much less,
            a found config that learns faster would win: it then answers in an ensemble at most.
    """
    temperatures = tuple(fit_temperature(z_NK, y_N) for z_NK in logits)
    weight_N = _weights(metric, y_N)
    losses = [weight_N * calibrated_losses(z_NK, y_N) for z_NK in logits]
    found = next((n for n, each in enumerate(candidates) if each.number is not None), None)
    best = min((n for n in range(len(losses)) if n != found), key=lambda n: losses[n].mean())
    chance, is_brief = None, False
    if found is not None:
        p_NK, other_NK = (softmax(logits[n], temperatures[n]) for n in (found, best))
        compared = compare(metric, p_NK, other_NK, y_N)
        chance, is_brief = compared.chance, compared.is_better and not are_telling
        best = found if compared.is_better and are_telling else best
    members: tuple[int, ...] = (best,)
    if not alone:
        members = _joining(best, found, logits, temperatures, y_N, metric=metric)
    together = members if len(members) > 1 else range(len(logits))
    whole_NK = averaged(logits, temperatures, together)
    accuracies = tuple(accuracy(z_NK, y_N) for z_NK in (*logits, whole_NK))
    return Choice(
        candidates=tuple(candidates),
        members=members,
        temperatures=temperatures,
        accuracies=accuracies,
        images=len(y_N),
        chance=chance,
        is_brief=is_brief,
        reason=_words([each.name for each in candidates], accuracies, chance, members)
        + (f" {BRIEF}" if is_brief else ""),
    )


def _joining(
    best: int,
    found: int | None,
    logits: Sequence[Logits],
    temperatures: Sequence[float],
    y_N: NDArray[np.int64],
    *,
    metric: str,
) -> tuple[int, ...]:
    """Return which networks answer if the best alone would: it, or an ensemble that is better.

    The others join first, then the one that was found; beside that, if it is the best.
    """
    members: tuple[int, ...] = (best,)
    weight_N, answer_NK = _weights(metric, y_N), logits[best]
    loss_N = weight_N * calibrated_losses(answer_NK, y_N)
    everyone = range(len(logits))
    for more in ([n for n in everyone if n != found], [found]):
        group = tuple(n for n in everyone if n in (*members, *more))
        if group == members:
            continue
        mean_NK = averaged(logits, temperatures, group)
        mean_N = weight_N * calibrated_losses(mean_NK, y_N)
        pays = mean_N.mean() < loss_N.mean() and (found not in group or is_lower(mean_N, loss_N))
        if pays and _is_no_worse(metric, mean_NK, answer_NK, y_N):
            members, loss_N, answer_NK = group, mean_N, mean_NK
    return members


def _is_no_worse(metric: str, z_NK: Logits, other_NK: Logits, y_N: NDArray[np.int64]) -> bool:
    """Whether logits are at least as good as others by a metric, after calibration of each."""
    p_NK, q_NK = (softmax(each_NK, fit_temperature(each_NK, y_N)) for each_NK in (z_NK, other_NK))
    return advantage(metric, p_NK, q_NK, y_N) >= 0


def is_better(metric: str, z_NK: Logits, other_NK: Logits, y_N: NDArray[np.int64]) -> bool:
    """Whether logits are better than others by the loss that decides in `choose`."""
    one_N, other_N = (calibrated_losses(each_NK, y_N) for each_NK in (z_NK, other_NK))
    return bool((_weights(metric, y_N) * (one_N - other_N)).sum() < 0)


def _weights(metric: str, y_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight of each image's loss: equal per class, if the metric is a mean over classes."""
    if metric not in CLASSES_ALIKE:
        return np.ones(len(y_N))
    _, place_N, counts = np.unique(y_N, return_inverse=True, return_counts=True)
    weight_N: NDArray[np.float64] = len(y_N) / len(counts) / counts[place_N]
    return weight_N


def averaged(
    logits: Sequence[Logits], temperatures: Sequence[float], members: Iterable[int]
) -> Logits:
    """Average the logits of some networks, each divided by its network's temperature."""
    mean_NK: Logits = np.mean([logits[n] / temperatures[n] for n in members], axis=0)
    return mean_NK


def _words(
    names: Sequence[str],
    accuracies: Sequence[float],
    chance: float | None,
    members: Sequence[int],
) -> str:
    shares = ", ".join(
        f"{name} {100 * share:.1f} %"
        for name, share in zip([*names, "together"], accuracies, strict=True)
    )
    test = (
        "" if chance is None else f" Equally good ones would differ as much with p = {chance:.2g}."
    )
    return (
        f"On held-out images, right: {shares}.{test} "
        f"{' and '.join(names[n] for n in members)} "
        f"{'answer together' if len(members) > 1 else 'answers alone'}."
    )


@final
@dataclass(frozen=True, kw_only=True)
class Answering:
    """The networks that form the final model.

    Attributes:
        members: Their candidates, one or several.
        trained: Result of the first one's training.
        deployed: Final model.
        choice: The choice, and its reason.
    """

    members: tuple[Candidate, ...]
    trained: Trained
    deployed: Deployed
    choice: Choice


def choose_answering(session: Session, trials: Sequence[Finished]) -> Answering:
    """Choose on the selection set, which neither a network nor a search has seen."""
    prepared = trials[0][0].prepared
    x_NCHW, y_N = prepared.part(prepared.split.selection)
    deployed = [candidate.deploy(trained) for candidate, trained in trials]
    logits = [
        candidate.settle(each, x_NCHW, y_N)
        for (candidate, _), each in zip(trials, deployed, strict=True)
    ]
    settings, candidates = session.settings, [candidate for candidate, _ in trials]
    choice = choose(candidates, logits, y_N, metric=settings.metric, alone=bool(settings.limit))
    session.note(choice.reason, lasting=False)
    if candidates[-1].number is not None:
        searched, search = candidates[-1], candidates[-1].chosen.search
        assert search is not None, "its config was found"
        chosen_by = spread(prepared.for_search()[1], search.validated)
        # The rest of them are training images of these networks.
        unlearned = chosen_by[np.isin(chosen_by, prepared.split.validation)]
        seen_NCHW, seen_N = prepared.part(unlearned)
        seen = [searched.logits(each, seen_NCHW) for each in (deployed[0], deployed[-1])]
        choice = replace(choice, luck=luck((seen, seen_N), (logits, y_N)))
    return answering(trials, deployed, choice)


def luck(
    chosen: tuple[Sequence[Logits], NDArray[np.int64]],
    unseen: tuple[Sequence[Logits], NDArray[np.int64]],
) -> Optimism | None:
    """Estimate how much of a search's gain was luck; None if there are too few images.

    Args:
        chosen: Logits of the plan's network, which comes first, and of the found one, which comes
            last, on the images that the search chose by; and their labels.
        unseen: The same on images that it never saw.
    """
    both = [gains(found_NK, plan_NK, y_N) for (plan_NK, *_, found_NK), y_N in (chosen, unseen)]
    return optimism(*both) if min(map(len, both)) >= FEWEST else None


def answering(
    trials: Sequence[Finished], deployed: Sequence[Deployed], choice: Choice
) -> Answering:
    """Build the final model from the chosen networks."""
    (candidate, trained), *others = (trials[place] for place in choice.members)
    networks = [deployed[place] for place in choice.members]
    temperatures = [choice.temperatures[place] for place in choice.members]
    whole = _joined(networks, temperatures) if others else networks[0]
    members = (candidate, *(other for other, _ in others))
    return Answering(members=members, trained=trained, deployed=whole, choice=choice)


def _joined(deployed: Sequence[Deployed], temperatures: Sequence[float]) -> Deployed:
    """Combine networks in an ensemble that takes the input of the first."""
    given = deployed[0].normalize
    network = Ensemble([each.network for each in deployed], given.mean.numel())
    network.read_as(given, [each.normalize for each in deployed])
    network.weight.copy_(1 / (len(deployed) * torch.tensor(temperatures)))
    return Deployed(
        network.to(given.mean.device),
        given,
        size=deployed[0].size,
    ).eval()
