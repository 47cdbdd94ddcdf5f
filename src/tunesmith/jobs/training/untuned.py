"""A pretrained network that was fine-tuned only briefly: whether its head alone does better."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunesmith import plan as planning
from tunesmith.evaluation.early import compared_by, counting_words
from tunesmith.evaluation.metrics import METRICS
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trained, Trial
from tunesmith.jobs.training.together import Logits, is_better


def tuned_or_head(
    session: Session, candidate: Candidate, trial: Trial, trained: Trained
) -> Trained:
    """Return a network as trained, or as its training began if that is better on held-out images.

    Only a brief fine-tuning is compared: a longer one has always helped.
    """
    if not is_brief(candidate, trained):
        return trained
    head = head_alone(trial, trained)
    x_NCHW, y_N = candidate.prepared.part(candidate.prepared.split.selection)
    head_NK, tuned_NK = (answers(candidate, each, x_NCHW) for each in (head, trained))
    examples = trained.checkpoint.seen
    return head if answers_alone(session, head_NK, tuned_NK, y_N, examples=examples) else trained


def is_brief(candidate: Candidate, trained: Trained) -> bool:
    """Whether a pretrained network was fine-tuned with so few examples that it may be worse."""
    is_few = 0 < trained.checkpoint.seen < planning.TUNED
    return candidate.family.pretrained is not None and is_few


def head_alone(trial: Trial, trained: Trained) -> Trained:
    """Return a pretrained network as its fine-tuning began: with a head fitted to its features."""
    assert trial.begin is not None
    return replace(trained, checkpoint=trial.begin())


def answers(candidate: Candidate, trained: Trained, x_NCHW: Tensor) -> Logits:
    """Logits of images ``(N, C, H, W)`` by a network as it would be deployed."""
    return candidate.logits(candidate.deploy(trained), x_NCHW)


def answers_alone(
    session: Session,
    head_NK: Logits,
    tuned_NK: Logits,
    y_N: NDArray[np.int64],
    *,
    examples: int,
) -> bool:
    """Whether a head on frozen features is better than the fine-tuned network; notes it if so.

    Args:
        session: Session of this process.
        head_NK: Logits with the head alone.
        tuned_NK: Logits of the fine-tuned network.
        y_N: Labels.
        examples: Number of examples that it was fine-tuned with; of several, their mean.
    """
    metric = session.settings.metric
    if not is_better(metric, head_NK, tuned_NK, y_N):
        return False
    score = METRICS[compared_by(metric)].function
    words = planning.untuned_words(score(head_NK, y_N), score(tuned_NK, y_N), examples)
    session.note(words + counting_words(metric), lasting=False)
    return True
