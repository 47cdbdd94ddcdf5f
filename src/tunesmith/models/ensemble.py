"""Ensembles of networks."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from tunesmith.models.preprocess import Normalize


@final
class Ensemble(nn.Module):
    """The weighted sum of several networks' logits.

    Networks of different kinds make different errors, so that an ensemble makes fewer (Hansen and
    Salamon 1990, "Neural network ensembles"). Each gets its input in the normalization that it was
    trained with.

    Shape:
        - input: ``(N, C, H, W)``, normalized as set by `read_as`
        - output: ``(N, K)``, logits

    Args:
        networks: Each maps ``(N, C, H, W)`` to ``(N, K)``.
        channels: Number of channels of the input.

    Example:
        >>> flat = [nn.Sequential(nn.Flatten(), nn.Linear(12, 2)) for _ in range(2)]
        >>> tuple(Ensemble(flat, 3)(torch.zeros(5, 3, 2, 2)).shape)
        (5, 2)

    """

    scale: Tensor
    shift: Tensor
    weight: Tensor

    def __init__(self, networks: Sequence[nn.Module], channels: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.register_buffer("scale", torch.ones(len(networks), 1, channels, 1, 1))
        self.register_buffer("shift", torch.zeros(len(networks), 1, channels, 1, 1))
        self.register_buffer("weight", torch.full((len(networks),), 1 / len(networks)))

    @torch.no_grad()
    def read_as(self, given: Normalize, expected: Sequence[Normalize]) -> None:
        """Set the conversion from the given normalization to those that the networks expect."""
        for index, each in enumerate(expected):
            self.scale[index] = (given.std / each.std).cpu()
            self.shift[index] = ((given.mean - each.mean) / each.std).cpu()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply all networks; see the class for the shapes."""
        z_NK = torch.zeros((), device=x_NCHW.device)
        for index, network in enumerate(self.networks):
            own_NCHW = x_NCHW * self.scale[index] + self.shift[index]
            z_NK = z_NK + self.weight[index] * network(own_NCHW)
        return z_NK
