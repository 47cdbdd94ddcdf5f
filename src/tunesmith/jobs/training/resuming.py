"""Go on with a training as it went so far: its config and its learning rate."""

from collections.abc import Sequence
from itertools import pairwise

from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trial
from tunesmith.records.history import TrialHistory
from tunesmith.training.config import TrainConfig
from tunesmith.training.noise import forgiving
from tunesmith.training.schedule import Segment, highest_ahead, rise, warmup_decay

REWARM = 0.5  # peak of the learning rate when a finished training is extended, at most
RISE_SHARE = 0.1  # share of an extension in which it rises


def resumed(config: TrainConfig, past: TrialHistory | None) -> TrainConfig:
    """Return the config to resume a training with: its loss and its batch are the last ones.

    Whether a loss forgives wrong labels is not asked again, as the answer may be another one: a
    network that has learned wrong labels contradicts fewer of them, and with a larger budget the
    training is early again. With a larger batch than the last one, memory would run out again.

    Args:
        config: Config as planned.
        past: The training so far; None if it has not begun.
    """
    if past is None or not past.slices:
        return config
    kept = forgiving(config) if past.robust and not config.robust else config
    return kept.model_copy(update={"batch": past.slices[-1].batch or config.batch})


def rate_ahead(session: Session, trial: Trial, *, seen: int, end: int) -> Sequence[Segment]:
    """Plan the learning rate: from scratch, after an interruption, or beyond a finished end.

    A rise that was cut short goes on to its top: the warmup, or the rise of an extension. The peak
    of an extension is no higher than the rate that a training planned for ``end`` has there: in a
    short one, a higher rate would do more harm than can be mended until its end.

    Args:
        session: Session of this process; its journal has the training so far.
        trial: The training.
        seen: Number of examples seen.
        end: Number of examples in the end.
    """
    past, warmup = session.journal.history.trials.get(trial.name), trial.config.warmup
    planned = warmup_decay(end, warmup=warmup)
    if past is None or not past.slices:
        return planned
    points = [(0, 0.0), *((done.end, done.rows[-1]["rate"]) for done in past.slices)]
    fallen = [at for (_, before), (at, rate) in pairwise(points) if rate <= before]
    risen_from = seen if past.ended else max(fallen, default=0)
    top, peak = int(warmup * end), 1.0
    if risen_from > 0:
        top = risen_from + int(RISE_SHARE * (end - risen_from))
        peak = min(REWARM, highest_ahead(planned, risen_from))
    if risen_from == seen and not past.ended:  # it falls already
        top = seen
    so_far = [Segment(begin=0, end=seen, first=1.0, last=points[-1][1])]
    return rise(so_far, seen=seen, top=top, end=end, peak=peak)
