"""Let several trained networks answer together, if that is better than the best of them alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import calibrated_losses, fit_temperature, softmax
from tunesmith.evaluation.compare import compare, is_lower
from tunesmith.evaluation.metrics import accuracy
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.session import Session
from tunesmith.jobs.trial import Trained
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Deployed

CLASSES_ALIKE = ("balanced_accuracy", "macro_f1")  # metrics that are means over classes
Logits = NDArray[np.float32]
Finished = tuple[Candidate, Trained]


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of several networks answer.

    Attributes:
        candidates: All of them.
        members: Places of those that answer.
        temperatures: Of all networks.
        accuracies: Of all networks, and of all together.
        images: That it was decided on.
        chance: Probability that a network which a search found differs as much from the one of the
            plan by chance, by the metric; None if there is none.
        reason: Why, in words.
    """

    candidates: tuple[Candidate, ...]
    members: tuple[int, ...]
    temperatures: tuple[float, ...]
    accuracies: tuple[float, ...]
    images: int
    chance: float | None
    reason: str


def choose(
    candidates: Sequence[Candidate],
    logits: Sequence[Logits],
    y_N: NDArray[np.int64],
    *,
    metric: str,
    alone: bool,
) -> Choice:
    """Compare each network and all together on images that none of them has seen.

    Logits are divided by each network's own temperature before they are averaged, so that a
    network that is too sure of itself does not outvote the others. A network whose settings were
    searched for answers alone only if it is better by the metric than the best of the others, by
    more than chance, and together with them only if that lowers the loss by more than chance: the
    search had many tries, and the best of many is partly luck.

    Else the loss decides, since it knows more of an image than right or wrong. Where classes count
    alike, so do they in the loss. In no case do networks answer together that are worse by the
    metric than the best of them alone: that is what the user asked for.

    Args:
        candidates: Whose networks they are.
        logits: Of each network.
        y_N: Classes of the images.
        metric: What models are ranked by.
        alone: Only one may answer: together they would take more than they may.
    """
    temperatures = tuple(fit_temperature(z_NK, y_N) for z_NK in logits)
    mean_NK = averaged(logits, temperatures)
    weight_N = _weights(metric, y_N)
    *losses, whole_N = [weight_N * calibrated_losses(z_NK, y_N) for z_NK in (*logits, mean_NK)]
    found = next((n for n, each in enumerate(candidates) if each.number is not None), None)
    best = min((n for n in range(len(losses)) if n != found), key=lambda n: losses[n].mean())
    chance = None
    if found is not None:
        p_NK, other_NK = (softmax(logits[n], temperatures[n]) for n in (found, best))
        compared = compare(metric, p_NK, other_NK, y_N)
        chance, best = compared.chance, found if compared.is_better else best
    pays = whole_N.mean() < losses[best].mean() and (
        found is None or is_lower(whole_N, losses[best])
    )
    is_together = not alone and bool(pays) and _is_no_worse(metric, mean_NK, logits[best], y_N)
    accuracies = tuple(accuracy(z_NK, y_N) for z_NK in (*logits, mean_NK))
    names = [candidate.name for candidate in candidates]
    return Choice(
        candidates=tuple(candidates),
        members=tuple(range(len(names))) if is_together else (best,),
        temperatures=temperatures,
        accuracies=accuracies,
        images=len(y_N),
        chance=chance,
        reason=_words(names, accuracies, chance, best=best, is_together=is_together),
    )


def _is_no_worse(metric: str, z_NK: Logits, other_NK: Logits, y_N: NDArray[np.int64]) -> bool:
    """Whether answers are at least as good by a metric as others, each as sure as suits them."""
    p_NK, q_NK = (softmax(each_NK, fit_temperature(each_NK, y_N)) for each_NK in (z_NK, other_NK))
    return compare(metric, p_NK, q_NK, y_N).gain >= 0


def _weights(metric: str, y_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each image's loss weighs: where the metric is a mean over classes, these weigh alike."""
    if metric not in CLASSES_ALIKE:
        return np.ones(len(y_N))
    _, place_N, counts = np.unique(y_N, return_inverse=True, return_counts=True)
    weight_N: NDArray[np.float64] = len(y_N) / len(counts) / counts[place_N]
    return weight_N


def averaged(logits: Sequence[Logits], temperatures: Sequence[float]) -> Logits:
    """What networks answer together."""
    scaled = [z_NK / t for z_NK, t in zip(logits, temperatures, strict=True)]
    mean_NK: Logits = np.mean(scaled, axis=0)
    return mean_NK


def _words(
    names: Sequence[str],
    accuracies: Sequence[float],
    chance: float | None,
    *,
    best: int,
    is_together: bool,
) -> str:
    shares = ", ".join(
        f"{name} {100 * share:.1f} %"
        for name, share in zip([*names, "together"], accuracies, strict=True)
    )
    test = (
        "" if chance is None else f" What was searched for differs by chance with p = {chance:.2g}."
    )
    return (
        f"On held-out images, right: {shares}.{test} "
        f"{' and '.join(names) if is_together else names[best]} "
        f"{'answer together' if is_together else 'answers alone'}."
    )


@final
@dataclass(frozen=True, kw_only=True)
class Answering:
    """Whose networks answer.

    Attributes:
        members: One or several.
        trained: How the training of the first went.
        deployed: What is handed over.
        choice: Why these.
    """

    members: tuple[Candidate, ...]
    trained: Trained
    deployed: Deployed
    choice: Choice


def choose_answering(session: Session, trials: Sequence[Finished]) -> Answering:
    """Choose on the selection part, which no network has seen, and no search."""
    prepared = trials[0][0].prepared
    x_NCHW, y_N = prepared.part(prepared.split.selection)
    deployed = [candidate.deploy(trained) for candidate, trained in trials]
    logits = [
        candidate.settle(each, x_NCHW, y_N)
        for (candidate, _), each in zip(trials, deployed, strict=True)
    ]
    settings, candidates = session.settings, [candidate for candidate, _ in trials]
    choice = choose(candidates, logits, y_N, metric=settings.metric, alone=bool(settings.limit))
    session.note(choice.reason)
    return answering(trials, deployed, choice)


def answering(
    trials: Sequence[Finished], deployed: Sequence[Deployed], choice: Choice
) -> Answering:
    """Put the chosen networks behind one input."""
    (candidate, trained), *others = (trials[place] for place in choice.members)
    networks = [deployed[place] for place in choice.members]
    whole = _joined(networks, choice.temperatures) if others else networks[0]
    members = (candidate, *(other for other, _ in others))
    return Answering(members=members, trained=trained, deployed=whole, choice=choice)


def _joined(deployed: Sequence[Deployed], temperatures: Sequence[float]) -> Deployed:
    """Put networks behind one input: that of the first."""
    given = deployed[0].normalize
    network = Ensemble([each.network for each in deployed], given.mean.numel())
    network.read_as(given, [each.normalize for each in deployed])
    network.weight.copy_(1 / (len(deployed) * torch.tensor(temperatures)))
    return Deployed(
        network.to(given.mean.device),
        given,
        size=deployed[0].size,
    ).eval()
