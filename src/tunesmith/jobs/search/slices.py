"""Training slices of a search, as worker processes run them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from tunesmith import plan as planning
from tunesmith.core.space import Config
from tunesmith.data.augment import shrink
from tunesmith.evaluation.calibration import fit_temperature, softmax
from tunesmith.evaluation.metrics import METRICS
from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.prepare import builder
from tunesmith.jobs.run.session import computing
from tunesmith.jobs.run.stored import read_checkpoint, write_checkpoint
from tunesmith.jobs.search.shared import DATA, Shared, opened, work
from tunesmith.jobs.search.space import applied
from tunesmith.training.epoch import scale_at
from tunesmith.training.losses import loss_of
from tunesmith.training.schedule import Segment, refit
from tunesmith.training.slice import Checkpoint, Outcome, place, train_slice, untrained
from tunesmith.tuning.folders import at_unit

TRIALS, STATE = "trials", "state.safetensors"  # in a search's folder, and in that of a trial
WARMUP = 0.05  # share of a full training; then the rate is constant, so that any pause is fair
# Units of training in which the rate falls to 0. After a tenth to a fifth of a training, a network
# is about as good as one whose rate fell all the time (Hägele et al. 2024, arXiv 2405.18392).
COOLING = planning.UNITS // 8
NUMBER, AT = "trial", "at"  # in the config of what is cooled down, beside that of its trial


def train(config: Config, folder: Path, start: int, until: int) -> float:
    """Train a slice of a search; see `tunesmith.tuning.slice`.

    A full training costs the same for every config: a network with twice the cost per image sees
    half as many images, but for a batch in each unit at least.

    Returns:
        The metric of the averaged weights on the validation images.

    Raises:
        MemoryError: The batch does not fit into memory.
        LimitError: The network is not within the limits.
        CodeChangedError: See `opened`.
    """
    shared = opened(folder.parents[2] / DATA)
    chosen = applied(shared.chosen, config)
    if not start and shared.limits.most:
        channels, size = shared.data.x_NCHW.shape[1], shared.chosen.size
        shared.limits.check(_untrained(shared, chosen), channels=channels, size=size, folder=folder)
    examples = _examples(shared, chosen)
    begin = read_checkpoint(folder / STATE) if start else shared.begin
    segments = _constant(examples(planning.UNITS))
    return _trained(shared, chosen, folder, begin, segments=segments, until=examples(until))


def cooling(config: Config, number: int, at: int) -> Config:
    """Return the config with which `cool` goes on from a trial after some units of training."""
    return {**config, NUMBER: number, AT: at}


def cool(config: Config, folder: Path, start: int, until: int) -> float:
    """Train a slice of a trial's cooldown: its learning rate falls to 0 within `COOLING` units.

    The first slice begins with what the trial has learned, whose own folder stays as it is, so that
    its training can go on too.

    Args:
        config: See `cooling`.
        folder: Folder of the cooldown, in a folder beside that of the trials.
        start: Units before the slice, of the cooldown.
        until: Units after it.

    Returns:
        As `train`.

    Raises:
        MemoryError: As `train`.
        CodeChangedError: As `train`.
    """
    shared = opened(folder.parents[2] / DATA)
    number, at = config[NUMBER], config[AT]
    chosen = applied(shared.chosen, {n: v for n, v in config.items() if n not in {NUMBER, AT}})
    examples = _examples(shared, chosen)
    trial = at_unit(folder.parents[2] / TRIALS, number, at)
    begin = read_checkpoint((folder if start else trial) / STATE)
    segments = refit(
        _constant(examples(planning.UNITS)), seen=examples(at), end=examples(at + COOLING)
    )
    return _trained(shared, chosen, folder, begin, segments=segments, until=examples(at + until))


def _examples(shared: Shared, chosen: planning.Plan) -> Callable[[int], int]:
    """Return how many examples a network sees in so many units, in whole batches."""
    images = shared.examples * shared.work / work(_untrained(shared, chosen), shared.data)
    batches = max(planning.UNITS, round(images / chosen.train.batch))
    return lambda units: units * batches // planning.UNITS * chosen.train.batch


def _constant(end: int) -> tuple[Segment, ...]:
    """Warm up, then keep the learning rate constant: a training may be judged at any pause."""
    top = max(1, int(WARMUP * end))
    return (
        Segment(begin=0, end=top, first=0.0, last=1.0),
        Segment(begin=top, end=end + 1, first=1.0, last=1.0),
    )


def _untrained(shared: Shared, chosen: planning.Plan) -> nn.Module:
    return untrained(_builder(shared, chosen), chosen.train.seed)


def _builder(shared: Shared, chosen: planning.Plan) -> Callable[[], nn.Module]:
    return builder(shared.family, shared.data, classes=shared.classes, params=chosen.params)


def _trained(
    shared: Shared,
    chosen: planning.Plan,
    folder: Path,
    start: Checkpoint | None,
    *,
    segments: Sequence[Segment],
    until: int,
) -> float:
    """Train up to so many examples, and write and judge what was learned; NaN if it diverges."""
    with computing(torch.get_num_threads()):
        result = train_slice(
            chosen.train,
            _builder(shared, chosen),
            shared.data,
            loss_of(chosen.train, shared.data.y_N[shared.data.rows], shared.classes),
            start=start,
            segments=segments,
            until=until,
        )
        if result.outcome is Outcome.OUT_OF_MEMORY:
            raise MemoryError
        if result.outcome is Outcome.DIVERGED or result.checkpoint is None:
            return math.nan
        write_checkpoint(folder / STATE, result.checkpoint)
        network = place(_untrained(shared, chosen), shared.data, chosen.train)
        scale = scale_at(chosen.train, segments, until - 1)
        network.load_state_dict(result.checkpoint.average)
        return _value(shared, network, scale, channels_last=chosen.train.channels_last)


def _value(shared: Shared, network: nn.Module, scale: float, *, channels_last: bool) -> float:
    """Metric of a network, on images as large as those that were trained on last.

    On larger ones, networks lose several points, some structures more than others. The answers are
    calibrated, as the final ones will be: else label smoothing would decide on the log loss.
    """
    network.eval()
    z_NK = logits(
        lambda x_NCHW: network(shrink(x_NCHW, scale)),
        shared.x_NCHW,
        normalize=shared.data.normalize,
        channels_last=channels_last,
    )
    p_NK = softmax(z_NK, fit_temperature(z_NK, shared.y_N))
    return METRICS[shared.metric].function(p_NK, shared.y_N)
