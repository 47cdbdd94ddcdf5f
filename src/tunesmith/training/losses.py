"""Losses to minimize in training. Robust training is another loss, nothing more."""

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
class GeneralizedCrossEntropy:
    """A loss between cross-entropy and mean absolute error, which is robust to wrong labels.

    Images with unlikely labels have smaller gradients than with cross-entropy (Zhang and Sabuncu
    2018, "Generalized cross entropy loss for training deep neural networks with noisy labels",
    arXiv:1805.07836).

    Args:
        q: Near 0 it is cross-entropy, at 1 the mean absolute error.
        smoothing: As for `CrossEntropy`.
    """

    q: float
    smoothing: float = 0.0

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        # In mixed precision, CPUs would compute these logarithms in bfloat16.
        log_NK = F.log_softmax(network(x_NCHW).float(), dim=1)
        log_N = log_NK.gather(1, y_N[:, None])[:, 0]
        own_N = -torch.expm1(self.q * log_N) / self.q
        return ((1 - self.smoothing) * own_N - self.smoothing * log_NK.mean(1)).mean()


@final
@dataclass(frozen=True)
class LogitAdjusted:
    """A loss of the logits plus the classes' log frequencies.

    The network's own logits are then right for classes that are equally frequent (Menon et al.
    2021, "Long-tail learning via logit adjustment", arXiv:2007.07314). Labels are smoothed towards
    the frequencies: spread evenly, rare classes would have so much that they win everywhere.

    Args:
        loss: Loss of the shifted logits, without label smoothing.
        shift_K: Shift of the logits in training.
        smoothing: Probability that is spread over all classes.
    """

    loss: Loss
    shift_K: Tensor
    smoothing: float = 0.0

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        z_NK = network(x_NCHW)
        shift_K = self.shift_K.to(z_NK.device)
        z_NK = z_NK + shift_K
        own = self.loss(nn.Identity(), z_NK, y_N)
        if not self.smoothing:
            return own
        spread = F.cross_entropy(z_NK, shift_K.softmax(0).expand_as(z_NK))
        return (1 - self.smoothing) * own + self.smoothing * spread


def log_frequencies(y_N: Tensor, classes: int) -> Tensor:
    """Logarithms of the classes' shares ``(K,)``; an empty class counts as half an image.

    Example:
        >>> log_frequencies(torch.tensor([0, 0, 0, 1]), 2).exp()
        tensor([0.7500, 0.2500])

    """
    counts_K = torch.bincount(y_N, minlength=classes).clamp_min(0.5)
    return (counts_K / len(y_N)).log()


def loss_of(config: TrainConfig, y_N: Tensor, classes: int) -> Loss:
    """Make the loss of a config, for training images of the classes ``y_N``."""
    smoothing = 0.0 if config.balance else config.label_smoothing
    loss: Loss = CrossEntropy(smoothing)
    if config.robust:
        loss = GeneralizedCrossEntropy(config.robust, smoothing)
    if config.balance:
        shift_K = config.balance * log_frequencies(y_N, classes)
        loss = LogitAdjusted(loss, shift_K, config.label_smoothing)
    return loss
