"""What a training is: planned, and done."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self, final

from torch import Tensor, nn

from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import Loss
from tunesmith.training.slice import Checkpoint

Validate = Callable[[Mapping[str, Tensor]], dict[str, float]]
SUREST_CONTRADICTED = "surest_contradicted"  # a measure of a validation; see `training.noise`
FOLD = ", fold "  # between a network's name and a number, in the name of a trial without a fold


def fold_name(network: str, fold: int) -> str:
    """Name the trial of a network that does not see a fold, counted from 0.

    Example:
        >>> fold_name("convnet", 0), network_of(fold_name("convnet", 0)), network_of("convnet")
        ('convnet, fold 1', 'convnet', 'convnet')

    """
    return f"{network}{FOLD}{fold + 1}"


def network_of(trial: str) -> str:
    """Undo `fold_name`; the name of any other trial is the network's."""
    return trial.partition(FOLD)[0]


@final
@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training, as planned.

    Attributes:
        name: In the journal.
        build: Makes the untrained network.
        begin: Where a training starts that is not one from scratch.
        config: How to train.
        data: What to train on.
        loss: What to minimize, by a config.
        validate: Metrics of averaged weights on images the training does not see; None if there
            are none.
        horizon: Examples after which more would not help; the clock may end it earlier.
        images_per_s: Expected speed, until a slice was measured.
        ends_at: The run's clock, in seconds, when training must be over.
        pause_at: The same for a pause, after which the training can go on.
    """

    name: str
    build: Callable[[], nn.Module]
    begin: Callable[[], Checkpoint] | None
    config: TrainConfig
    data: TrainData
    loss: Callable[[TrainConfig], Loss]
    validate: Validate | None
    horizon: int
    images_per_s: float
    ends_at: float
    pause_at: float = math.inf

    def paused(self, at: float) -> Self:
        """The same training, but only the beginning: up to a moment of the run's clock."""
        return replace(self, pause_at=at)


@final
@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left.

    Attributes:
        checkpoint: The last good one.
        config: As planned, or with the smaller batch that fits.
        reason: Why it ended, in words.
    """

    checkpoint: Checkpoint
    config: TrainConfig
    reason: str
