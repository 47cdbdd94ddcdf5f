"""Losses: what training minimizes. Hardened training is another loss, nothing more."""

from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunesmith.training.config import TrainConfig


class Loss(Protocol):
    """A function of a network and a batch; it may run the network as often as it likes."""

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """Mean loss of the batch, a scalar with a gradient.

        Args:
            network: Maps ``(N, C, H, W)`` to logits ``(N, K)``.
            x_NCHW: Normalized, augmented images.
            y_N: True classes.
        """
        ...


@final
@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with label smoothing (Szegedy et al. 2016).

    Args:
        smoothing: Probability that is spread evenly over all classes.
    """

    smoothing: float = 0.0

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        return F.cross_entropy(network(x_NCHW), y_N, label_smoothing=self.smoothing)


@final
@dataclass(frozen=True)
class LogitAdjusted:
    """Cross-entropy on logits plus the classes' log frequencies.

    What the network itself answers is then right for classes that are equally frequent (Menon et
    al. 2021, "Long-tail learning via logit adjustment", arXiv:2007.07314).

    Args:
        shift_K: Added to the logits in training.
        smoothing: As for `CrossEntropy`.
    """

    shift_K: Tensor
    smoothing: float = 0.0

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        z_NK = network(x_NCHW)
        z_NK = z_NK + self.shift_K.to(z_NK.device)
        return F.cross_entropy(z_NK, y_N, label_smoothing=self.smoothing)


def log_frequencies(y_N: Tensor, classes: int) -> Tensor:
    """Logarithms of the classes' shares ``(K,)``; a class without images counts as half of one.

    Example:
        >>> log_frequencies(torch.tensor([0, 0, 0, 1]), 2).exp()
        tensor([0.7500, 0.2500])

    """
    counts_K = torch.bincount(y_N, minlength=classes).clamp_min(0.5)
    return (counts_K / len(y_N)).log()


def loss_of(config: TrainConfig, y_N: Tensor, classes: int) -> Loss:
    """The loss that a config trains with, for training images of the classes ``y_N``."""
    if config.balance:
        shift_K = config.balance * log_frequencies(y_N, classes)
        return LogitAdjusted(shift_K, config.smoothing)
    return CrossEntropy(config.smoothing)
