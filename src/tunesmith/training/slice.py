"""The training slice: the one function that trains.

Resuming, tuning and distribution are built by calling `train_slice` again with the checkpoint
that it returned before.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from tunesmith.core.seeds import derive
from tunesmith.evaluation.memory import is_out_of_memory
from tunesmith.models.layout import arrange
from tunesmith.training.averaging import infinite_in
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import CPU, Compute, own_randomness, seed_random
from tunesmith.training.epoch import TrainData, train_batches
from tunesmith.training.layers import freeze
from tunesmith.training.losses import Loss
from tunesmith.training.optimizers import Optimizers
from tunesmith.training.schedule import Segment, multiplier

REFERENCE_BATCH = 512  # the batch that a config's learning rates are meant for


class Outcome(Enum):
    """How a slice ended, in words."""

    DONE = "trained as asked"
    STOPPED = "stopped early, on request"
    DIVERGED = "the loss is no finite number"
    OUT_OF_MEMORY = "the batch did not fit into memory"


@final
@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that is needed to resume training.

    Attributes:
        seen: Examples seen.
        network: Weights and buffers by name.
        average: Moving average of weights and buffers by name.
        optimizer: State of the optimizers by ``"state/parameter"``; with float16, also that of the
            loss scaling by ``"scaler/state"``.
    """

    seen: int
    network: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]


@final
@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """Result of a slice.

    Attributes:
        outcome: How it ended.
        row: Metrics at its end: ``seen``, ``loss``, ``rate`` (multiplier of the learning rate).
        checkpoint: Checkpoint to resume from; ``start`` again after divergence or out of memory.
    """

    outcome: Outcome
    row: Mapping[str, float]
    checkpoint: Checkpoint | None


def _never() -> bool:
    return False


def copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy weights and buffers by name, each into memory of its own even if layers share theirs."""
    return {name: value.detach().clone() for name, value in state.items()}


def make_optimizers(config: TrainConfig, network: nn.Module, compute: Compute) -> Optimizers:
    """Build a config's optimizers for a device, learning rates scaled to its batch."""
    ratio = config.batch / REFERENCE_BATCH
    return Optimizers(
        network,
        kind=config.optimizer,
        lr=config.lr * (ratio if config.optimizer == "sgd" else ratio**0.5),
        lr_head=config.lr_head * ratio,
        lr_bias=config.lr_bias * ratio,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        scaler=compute.scaler(mixed=config.mixed_precision),
    )


def train_slice(
    config: TrainConfig,
    build: Callable[[], nn.Module],
    data: TrainData,
    loss: Loss,
    *,
    start: Checkpoint | None,
    segments: Sequence[Segment],
    until: int,
    stop: Callable[[], bool] = _never,
) -> SliceResult:
    """Train from ``start`` (or from scratch) until ``until`` examples were seen.

    A pure function: it changes none of its arguments, and restores the global random state. Slices
    compose: on one device and for equal segments, 0 -> 2 -> 4 is bit-identical to 0 -> 4, if slices
    end at multiples of the batch size. The exception is a slice that diverges in float16, which
    holds no numbers beyond 65,504: it is trained again in float32, so that networks with such
    numbers are trained too.

    Args:
        config: Training config.
        build: Builds the untrained network; its randomness is seeded here.
        data: Training data.
        loss: Loss to minimize.
        start: Checkpoint to resume from; None to train from scratch.
        segments: Learning rate schedule, up to ``until`` at least.
        until: Number of examples seen at the end.
        stop: Called before each batch; True ends the slice there.

    Raises:
        ValueError: ``until`` is not after ``start``.
    """
    begin = start.seen if start else 0
    if until <= begin:
        raise ValueError(f"`until` must be more than {begin} examples, but got {until=}.")
    train = partial(
        _train, build, data, loss, start=start, segments=segments, until=until, stop=stop
    )
    result = train(config)
    is_half = data.compute.products(mixed=config.mixed_precision) is torch.float16
    if is_half and result.outcome is Outcome.DIVERGED:
        return train(config.model_copy(update={"mixed_precision": False}))
    return result


def _train(
    build: Callable[[], nn.Module],
    data: TrainData,
    loss: Loss,
    config: TrainConfig,
    *,
    start: Checkpoint | None,
    segments: Sequence[Segment],
    until: int,
    stop: Callable[[], bool],
) -> SliceResult:
    begin = start.seen if start else 0
    with own_randomness(data.compute.device):
        seed_random(derive(config.seed, "init"), data.compute.device)
        network, optimizers, average = _begun(build, data, config, start)
        infinite = infinite_in(average) | infinite_in(network.state_dict())
        try:
            progress = train_batches(
                network,
                optimizers,
                average,
                data=data,
                config=config,
                loss=loss,
                segments=segments,
                begin=begin,
                until=until,
                stop=stop,
                infinite=infinite,
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return SliceResult(outcome=Outcome.OUT_OF_MEMORY, row={}, checkpoint=start)
    row = {
        "seen": float(progress.seen),
        "loss": progress.loss,
        "rate": multiplier(segments, min(progress.seen, segments[-1].end)),
    }
    # The last loss is from before the last step. A mask may have been infinite from the start.
    is_good = math.isfinite(progress.loss) and infinite_in(network.state_dict()) <= infinite
    if not is_good or optimizers.scaler.is_stuck:
        return SliceResult(outcome=Outcome.DIVERGED, row=row, checkpoint=start)
    end = Checkpoint(
        seen=progress.seen,
        network=copied(network.state_dict()),
        average=average,
        optimizer=optimizers.state(),
    )
    outcome = Outcome.DONE if progress.seen >= until else Outcome.STOPPED
    return SliceResult(outcome=outcome, row=row, checkpoint=end)


def _begun(
    build: Callable[[], nn.Module], data: TrainData, config: TrainConfig, start: Checkpoint | None
) -> tuple[nn.Module, Optimizers, dict[str, Tensor]]:
    """Build network, optimizers and average, as they are in a checkpoint or untrained."""
    network = place(build(), data, config)
    optimizers = make_optimizers(config, network, data.compute)
    average = copied(network.state_dict())
    if start:
        network.load_state_dict(start.network)
        optimizers.load(start.optimizer)
        for name, value in start.average.items():
            average[name].copy_(value)
    return network, optimizers, average


def untrained(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network as for the start of a training; the global random state is restored.

    Where its weights are loaded or make no difference, this lets a user's network be copied.

    Args:
        build: Builds the untrained network.
        seed: Seed of the training.
    """
    with own_randomness(CPU.device):
        seed_random(derive(seed, "init"), CPU.device)
        return build()


def place(network: nn.Module, data: TrainData, config: TrainConfig) -> nn.Module:
    """Move a network to the compute device, in the config's memory layout; freeze some layers."""
    freeze(network, config.frozen)
    return arrange(network.to(data.compute.device), channels_last=config.channels_last)
