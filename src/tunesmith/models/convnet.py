"""The `convnet` family: a short ladder of convolutions for images from 8 to 256 pixels.

After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498): patch
whitening, Dirac-initialized filters, pooling inside each group, no residual path.
"""

import math
from typing import Annotated

from torch import Tensor, nn

from tunesmith.core.space import Choice, Float, Int
from tunesmith.models.blocks import ACTIVATIONS, ConvGroup, Head, Whitening

LARGEST = 256
SMALLEST = 8


# Widths of the groups as multiples of `width`: thin where the resolution is high.
LADDERS = {2: (1, 4), 3: (1, 4, 4), 4: (1, 2, 4, 4)}
THINNEST = 16  # channels of a group: fewer cost a CPU with vector units just as much


class ConvNet(nn.Module):
    """Whitening, groups that halve the resolution, and a head.

    Shape:
        - input: ``(N, C, H, W)``, normalized
        - output: ``(N, K)``, logits
    """

    def __init__(
        self, stem: Whitening, groups: nn.Sequential, head: Head, activation: nn.Module
    ) -> None:
        super().__init__()
        self.stem = stem
        self.activation = activation
        self.groups = groups
        self.head = head

    def fit_input(self, x_NCHW: Tensor) -> None:
        """Fit the whitening to normalized training images ``(N, C, H, W)``."""
        self.stem.fit(x_NCHW)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the network; see the class for the shapes."""
        z_NK: Tensor = self.head(self.groups(self.activation(self.stem(x_NCHW))))
        return z_NK


def _stem(channels: int, side: int) -> Whitening:
    """Make a first layer that brings any side down to about 48 pixels or fewer."""
    stride = 1 if side <= 48 else 2 if side <= 96 else 4  # noqa: PLR2004 (the rule itself)
    kernel = 2 * stride if stride > 1 else (3 if channels == 1 else 2)
    directions = min(channels * kernel**2, 9 if channels == 1 else 16)
    return Whitening(channels, kernel_size=kernel, directions=directions, stride=stride)


def convnet(
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    width: Annotated[int, Int(8, 128, log=True)] = 32,
    depth: Annotated[int, Int(1, 4)] = 2,
    activation: Annotated[str, Choice("gelu", "relu", "silu")] = "gelu",
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.0,
) -> ConvNet:
    """Build a network of the family.

    Args:
        classes: Number of classes K.
        channels: Channels of the images: 1, 3 or 4.
        size: Height and width of the images in pixels, each at least 8.
        width: Channels of the first group, or 16 if that is more; the last ones have four times
            ``width``.
        depth: Convolutions in each group.
        activation: The nonlinearity.
        dropout: Share of features set to zero before the last layer in training.

    Raises:
        ValueError: A side is under 8 pixels.

    Example:
        >>> import torch
        >>> network = convnet(10, 3, size=(32, 32), width=16)
        >>> tuple(network(torch.zeros(2, 3, 32, 32)).shape)
        (2, 10)

    """
    side = min(size)
    if side < SMALLEST:
        raise ValueError(f"Both sides of `size` must be at least {SMALLEST}, but got {size=}.")
    stem = _stem(channels, side)
    count = max(2, min(4, round(math.log2(side / stem.stride / 4))))
    widths = [max(THINNEST, width * multiple) for multiple in LADDERS[count]]
    groups = nn.Sequential(
        *(
            ConvGroup(before, after, depth=depth, activation=activation)
            for before, after in zip((stem.channels_out, *widths), widths, strict=False)
        )
    )
    head = Head(widths[-1], classes, dropout=dropout)
    return ConvNet(stem, groups, head, ACTIVATIONS[activation]())
