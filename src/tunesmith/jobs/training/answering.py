"""Build the final model from one trained network, or from several that answer together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.core.spread import spread
from tunesmith.evaluation.compare import Optimism, gains, optimism
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained
from tunesmith.jobs.training.together import Choice, Logits, choose
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Deployed

FEWEST = 2  # images for a standard error
Finished = tuple[Candidate, Trained]


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


def choose_answering(
    session: Session, trials: Sequence[Finished], *, finalists: int = 1
) -> Answering:
    """Choose on the selection set, which no network has seen, and of a search its finals alone.

    Args:
        session: Session of this process.
        trials: The networks; one that a search found comes last.
        finalists: See `choose`.
    """
    prepared = trials[0][0].prepared
    x_NCHW, y_N = prepared.part(prepared.split.selection)
    deployed = [candidate.deploy(trained) for candidate, trained in trials]
    logits = [
        candidate.settle(each, x_NCHW, y_N)
        for (candidate, _), each in zip(trials, deployed, strict=True)
    ]
    settings, candidates = session.settings, [candidate for candidate, _ in trials]
    choice = choose(
        candidates,
        logits,
        y_N,
        metric=settings.metric,
        alone=bool(settings.limit),
        finalists=finalists,
    )
    session.note(choice.reason, lasting=False)
    if candidates[-1].number is not None:
        searched, search = candidates[-1], candidates[-1].chosen.search
        assert search is not None, "its config was found"
        chosen_by = spread(prepared.for_search()[1], search.validated)
        # The rest of them are training images of these networks.
        unlearned = chosen_by[np.isin(chosen_by, prepared.split.validation)]
        # Of the selection set, finalists have chosen too: the calibration set chose nothing.
        both = [prepared.part(places) for places in (unlearned, prepared.split.calibration)]
        told = [
            ([searched.logits(each, x_NCHW) for each in (deployed[0], deployed[-1])], y_N)
            for x_NCHW, y_N in both
        ]
        choice = replace(choice, luck=luck(*told))
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
