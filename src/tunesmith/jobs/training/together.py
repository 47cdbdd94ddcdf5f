"""Choose which of several trained networks answer, alone or together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import fit_temperature, softmax, weighted_losses
from tunesmith.evaluation.compare import (
    Optimism,
    advantage,
    compare,
    is_lower,
)
from tunesmith.evaluation.metrics import accuracy
from tunesmith.jobs.run.candidate import Candidate

BRIEF = "There was too little time to judge whether what was found is better alone."
Logits = NDArray[np.float32]


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
        chance: p-value of the metric's difference between the network that a search found and what
            answers without it, times the finalists; None without a search.
        finalists: Number of configs from which these images chose the found one.
        is_brief: Whether the network that a search found might be better alone, but was judged by
            networks that were hardly trained.
        reason: Reason for the choice, in words.
        luck: How much more the network that a search found gained over the plan's on the images
            that the search chose by than on others; None without a search.
    """

    candidates: tuple[Candidate, ...]
    members: tuple[int, ...]
    temperatures: tuple[float, ...]
    accuracies: tuple[float, ...]
    images: int
    chance: float | None
    finalists: int = 1
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
    finalists: int = 1,
) -> Choice:
    """Compare each network and their ensembles on images that none of them has seen.

    Logits are divided by each network's own temperature before they are averaged, so that an
    overconfident network does not dominate. A network whose config was found by a search is used
    alone only if it is significantly better by the metric than what answers without it, and joins
    that only if the loss is then significantly lower: the best of many trials is partly luck.

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
        finalists: Number of configs from which the found one was chosen by these same images: it
            has to be better by so much more, or luck would decide (Bonferroni).
    """
    temperatures = tuple(fit_temperature(z_NK, y_N) for z_NK in logits)
    found = next((n for n, each in enumerate(candidates) if each.number is not None), None)
    others = [n for n in range(len(logits)) if n != found]
    grown = partial(_grown, logits, temperatures, y_N, metric=metric)
    best = min(others, key=lambda n: weighted_losses(metric, logits[n], y_N).mean())
    members = (best,) if alone else grown((best,), others)
    chance, is_brief = None, False
    if found is not None:
        answers = logits[found], averaged(logits, temperatures, members)
        compared = compare(metric, *_calibrated(answers, y_N), y_N).among(finalists)
        chance, is_brief = compared.chance, compared.is_better and not are_telling
        more = [found]
        if compared.is_better and are_telling:
            members, more = (found,), others
        members = members if alone else grown(members, more, finalists=finalists)
    together = members if len(members) > 1 else range(len(logits))
    whole_NK = averaged(logits, temperatures, together)
    accuracies = tuple(accuracy(z_NK, y_N) for z_NK in (*logits, whole_NK))
    words = _words([each.name for each in candidates], accuracies, members, chance, finalists)
    return Choice(
        candidates=tuple(candidates),
        members=members,
        temperatures=temperatures,
        accuracies=accuracies,
        images=len(y_N),
        chance=chance,
        finalists=finalists,
        is_brief=is_brief,
        reason=f"{words} {BRIEF}" if is_brief else words,
    )


def _grown(
    logits: Sequence[Logits],
    temperatures: Sequence[float],
    y_N: NDArray[np.int64],
    members: tuple[int, ...],
    more: Sequence[int],
    *,
    metric: str,
    finalists: int = 0,
) -> tuple[int, ...]:
    """Return which networks answer: the members, or those with more, if these are better.

    Args:
        logits: Logits of all networks.
        temperatures: Temperature of each.
        y_N: Labels.
        members: Networks that would answer, by their indices.
        more: Networks that would join them.
        metric: The user's metric.
        finalists: If a search's network is among these, they have to be better by more than chance;
            number of configs from which it was chosen by these images. 0 if it is not.
    """
    group = tuple(sorted({*members, *more}))
    if group == members:
        return members
    answer_NK, mean_NK = (averaged(logits, temperatures, some) for some in (members, group))
    loss_N, mean_N = (weighted_losses(metric, z_NK, y_N) for z_NK in (answer_NK, mean_NK))
    pays = mean_N.mean() < loss_N.mean()
    if finalists:
        pays = pays and is_lower(mean_N, loss_N, finalists=finalists)
    return group if pays and _is_no_worse(metric, mean_NK, answer_NK, y_N) else members


def _is_no_worse(metric: str, z_NK: Logits, other_NK: Logits, y_N: NDArray[np.int64]) -> bool:
    """Whether logits are at least as good as others by a metric, after calibration of each."""
    return advantage(metric, *_calibrated((z_NK, other_NK), y_N), y_N) >= 0


def _calibrated(logits: tuple[Logits, Logits], y_N: NDArray[np.int64]) -> tuple[Logits, Logits]:
    """Probabilities by two networks' logits, each at the temperature fitted to these images."""
    one_NK, other_NK = (softmax(z_NK, fit_temperature(z_NK, y_N)) for z_NK in logits)
    return one_NK, other_NK


def is_better(metric: str, z_NK: Logits, other_NK: Logits, y_N: NDArray[np.int64]) -> bool:
    """Whether logits are better than others by the loss that decides in `choose`."""
    one_N, other_N = (weighted_losses(metric, each_NK, y_N) for each_NK in (z_NK, other_NK))
    return bool((one_N - other_N).sum() < 0)


def averaged(
    logits: Sequence[Logits], temperatures: Sequence[float], members: Iterable[int]
) -> Logits:
    """Average the logits of some networks, each divided by its network's temperature."""
    mean_NK: Logits = np.mean([logits[n] / temperatures[n] for n in members], axis=0)
    return mean_NK


def best_of(finalists: int) -> str:
    """Say of a chance that it counts for the best of several; it is multiplied by their number.

    Example:
        >>> best_of(3), best_of(1)
        (', as the best of 3 that were compared on them', '')

    """
    return f", as the best of {finalists} that were compared on them" if finalists > 1 else ""


def _words(
    names: Sequence[str],
    accuracies: Sequence[float],
    members: Sequence[int],
    chance: float | None,
    finalists: int,
) -> str:
    shares = ", ".join(
        f"{name} {100 * share:.1f} %"
        for name, share in zip([*names, "together"], accuracies, strict=True)
    )
    test = ""
    if chance is not None:
        differ = f"Equally good ones would differ as much with p = {chance:.2g}"
        test = f" {differ}{best_of(finalists)}."
    return (
        f"On held-out images, right: {shares}.{test} "
        f"{' and '.join(names[n] for n in members)} "
        f"{'answer together' if len(members) > 1 else 'answers alone'}."
    )
