"""Losses: what training minimizes. Hardened training is another loss, nothing more."""

from dataclasses import dataclass
from typing import Protocol, final

from torch import Tensor, nn
from torch.nn import functional as F


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
