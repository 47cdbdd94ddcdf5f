"""A training, as planned and as done."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self, final

from torch import Tensor, nn

from tunesmith.core.ending import EndReason
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import Loss
from tunesmith.training.slice import Checkpoint

Validate = Callable[[Mapping[str, Tensor]], dict[str, float]]
SUREST_CONTRADICTED = "surest_contradicted"  # a validation metric; see `training.noise`
FOLD = ", fold "  # between network and number, in the name of a trial that trains without a fold


def fold_name(network: str, fold: int) -> str:
    """Name the trial of a network that is trained without a fold, counted from 0.

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
        name: Name in the journal.
        build: Builds the untrained network.
        begin: Makes the initial checkpoint; None to train from scratch.
        config: Training config.
        data: Training data.
        loss: Makes the loss to minimize, from a config.
        validate: Computes metrics of averaged weights on held-out images; None if there are none.
        horizon: Maximum number of examples, beyond which more do not help; the clock may end it
            earlier.
        images_per_s: Expected speed, until one is measured.
        ends_at: Deadline on the run's clock, in seconds.
        pause_at: When to pause on the same clock; a paused training can be resumed.
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
        """Return the same training, to be paused at a time on the run's clock."""
        return replace(self, pause_at=at)


@final
@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of a training.

    Attributes:
        checkpoint: Last good checkpoint.
        config: Config as planned, or with a smaller batch that fits into memory.
        reason: Why it ended.
    """

    checkpoint: Checkpoint
    config: TrainConfig
    reason: EndReason
