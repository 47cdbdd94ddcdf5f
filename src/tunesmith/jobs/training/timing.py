"""How long trainings may take, and how long the predictions after them do."""

import itertools
import statistics
from collections.abc import Sequence

from tunesmith import plan as planning
from tunesmith.jobs.run.candidate import ANSWERS_PER_S, Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import network_of
from tunesmith.models.views import passes

# Inference time of a network's graph over its own. That of a pretrained network is as quick: to
# PyTorch, its depthwise convolutions are slower.
SLOWER_GRAPH = 1.25
SLOWER_TOGETHER = 1.6  # inference time of an ensemble over the sum of its networks' times


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


def end_of_training(session: Session, candidates: Sequence[Candidate]) -> float:
    """Deadline of training: time is left for all predictions that are made afterwards.

    A little is trained even if there is no time left.
    """
    slower = SLOWER_TOGETHER if len(candidates) > 1 else 1.0
    asking_s = slower * sum(_asking_s(session, candidate) for candidate in candidates)
    asking_s += candidates[0].chosen.reread_s
    deep = any(candidate.family.pretrained for candidate in candidates)
    budget = session.settings.budget
    ends_at = budget - planning.most_reserved(budget, asking_s, pretrained=deep)
    had_s = sum(trained_seconds(session, name) for name in {c.name for c in candidates})
    more_s = planning.least_seconds(budget) - had_s
    return ends_at if more_s <= 0 else max(ends_at, session.clock.elapsed() + more_s)


def _asking_s(session: Session, candidate: Candidate) -> float:
    """Estimate how long it takes to predict all images that are not trained on, at the end."""
    split = candidate.prepared.split
    asked = len(split.selection) + len(split.calibration)
    if candidate.chosen.search is not None:  # tells how much was luck
        asked += min(len(split.validation), candidate.chosen.search.validated)
        asked += len(split.calibration)
    if candidate.family.pretrained:  # its head alone may be asked too; see `untuned`
        asked += 2 * len(split.selection)
    return answering_s(session, candidate, asked) + _handing_s(session, candidate)


def answering_s(session: Session, candidate: Candidate, images: int) -> float:
    """Estimate how many seconds a network takes to predict images.

    The speed is that of its validations, or else that of the probe.
    """
    trial = session.journal.history.trials.get(candidate.name)
    told = [block.metrics.get(ANSWERS_PER_S, 0.0) for block in trial.blocks] if trial else []
    rate = statistics.median(told or [candidate.chosen.device_answers_per_s])
    return _asked_s(candidate, images, rate)


def _handing_s(session: Session, candidate: Candidate) -> float:
    """Estimate how long the exported graph takes to be compared with the network, and tested.

    Both answer on the CPU then. If the network was trained elsewhere, the speed is that of the
    probe.
    """
    split = candidate.prepared.split
    verified = min(planning.VERIFIED, len(split.train))
    by_graph = len(split.test) + verified
    if candidate.prepared.train.compute.device.type != "cpu":
        return _asked_s(candidate, verified + by_graph, candidate.chosen.answers_per_s)
    slower = 1.0 if candidate.family.pretrained else SLOWER_GRAPH
    network_s, graph_s = (answering_s(session, candidate, each) for each in (verified, by_graph))
    return network_s + slower * graph_s


def _asked_s(candidate: Candidate, images: int, rate: float) -> float:
    """Seconds for all views of images, at so many answers a second."""
    return passes(candidate.views[-1]) * images / max(1.0, rate)
