"""Let several trained networks answer together, if that is better than the best of them alone."""

from collections.abc import Sequence

import numpy as np
import torch

from tunesmith.evaluation.calibration import calibrated_loss, fit_temperature
from tunesmith.evaluation.metrics import accuracy
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.session import Session
from tunesmith.jobs.trial import Trained
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Deployed

Answering = tuple[tuple[Candidate, ...], Trained, Deployed]


def choose_answering(session: Session, trials: Sequence[tuple[Candidate, Trained]]) -> Answering:
    """Compare each network and all together on the selection part, which none of them has seen.

    Logits are divided by each network's own temperature before they are averaged, so that a
    network that is too sure of itself does not outvote the others.

    Returns:
        Whose networks answer, how the first one's training went, and the network to hand over.
    """
    prepared = trials[0][0].prepared
    x_NCHW, y_N = prepared.part(prepared.split.selection)
    deployed = [candidate.deploy(trained) for candidate, trained in trials]
    logits = [
        candidate.settle(each, x_NCHW, y_N)
        for (candidate, _), each in zip(trials, deployed, strict=True)
    ]
    temperatures = [fit_temperature(z_NK, y_N) for z_NK in logits]
    scaled = [z_NK / t for z_NK, t in zip(logits, temperatures, strict=True)]
    mean_NK = np.mean(scaled, axis=0)
    losses = [calibrated_loss(z_NK, y_N) for z_NK in logits]
    whole = calibrated_loss(mean_NK, y_N)
    together = whole < min(losses)
    names = [candidate.name for candidate, _ in trials]
    best = losses.index(min(losses))
    shares = ", ".join(
        f"{name} {100 * accuracy(z_NK, y_N):.1f} %"
        for name, z_NK in zip([*names, "together"], [*logits, mean_NK], strict=True)
    )
    session.note(
        f"On held-out images, right: {shares}. "
        f"{' and '.join(names) if together else names[best]} "
        f"{'answer together' if together else 'answers alone'}."
    )
    if not together:
        return (trials[best][0],), trials[best][1], deployed[best]
    members = tuple(candidate for candidate, _ in trials)
    return members, trials[0][1], _joined(deployed, temperatures)


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
