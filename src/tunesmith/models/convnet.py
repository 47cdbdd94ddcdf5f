"""The `convnet` family: a small convolutional network for images from 8 to 256 pixels.

After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498): patch
whitening, Dirac-initialized filters, pooling inside each group, no residual path. Its structure is
searchable: kinds of blocks, of pooling and of heads, and a lower resolution.
"""

import math
from functools import partial
from typing import Annotated

from torch import Tensor, nn

from tunesmith.core.space import Choice, Float, Int
from tunesmith.models.blocks import Head, Whitening
from tunesmith.models.groups import group
from tunesmith.models.preprocess import resize

LARGEST = 256
SMALLEST = 8


# Widths of the groups as multiples of `width`: thin where the resolution is high.
LADDERS = {2: (1, 4), 3: (1, 4, 4), 4: (1, 2, 4, 4)}
THINNEST = 16  # channels of a group at least: fewer are no faster on a CPU with vector units


class ConvNet(nn.Module):
    """Whitening, groups that halve the resolution, and a head.

    Shape:
        - input: ``(N, C, H, W)``, normalized
        - output: ``(N, K)``, logits

    Args:
        stem: Whitening layer.
        groups: Groups of blocks, at lower and lower resolutions.
        head: Head from the output of the last group to logits.
        multiplier: Side of the images inside the network, relative to their own.
    """

    def __init__(
        self,
        stem: Whitening,
        groups: nn.Sequential,
        head: Head,
        *,
        multiplier: float,
    ) -> None:
        super().__init__()
        self.multiplier = multiplier
        self.smallest = max(SMALLEST, stem.side_for(2 ** len(groups)))  # each of these halves it
        self.stem = stem
        self.activation = nn.ReLU()  # filters come in pairs of opposite sign: nothing is lost
        self.groups = groups
        self.head = head

    def fit_input(self, x_NCHW: Tensor) -> None:
        """Fit the whitening to normalized training images ``(N, C, H, W)``."""
        self.stem.fit(self._scaled(x_NCHW))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the network; see the class for the shapes."""
        x_NCHW = self.activation(self.stem(self._scaled(x_NCHW)))
        z_NK: Tensor = self.head(self.groups(x_NCHW))
        return z_NK

    def _scaled(self, x_NCHW: Tensor) -> Tensor:
        # Relative to the size that they come in, which is smaller early in training.
        height, width = x_NCHW.shape[2:]
        inside = _inside((height, width), self.multiplier, self.smallest)
        return x_NCHW if inside == (height, width) else resize(x_NCHW, inside)


def _inside(size: tuple[int, int], multiplier: float, smallest: int = SMALLEST) -> tuple[int, int]:
    """Height and width of the first layer's input: the images' own, or ``smallest`` at least.

    Example:
        >>> _inside((32, 28), 0.75), _inside((32, 9), 0.5)
        ((24, 21), (16, 8))

    """
    if multiplier == 1.0:
        return size
    height, width = (max(smallest, round(multiplier * side)) for side in size)
    return height, width


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
    block: Annotated[str, Choice("plain", "residual")] = "plain",
    pooling: Annotated[str, Choice("max", "average", "stride")] = "max",
    head: Annotated[str, Choice("max", "average", "both")] = "max",
    resolution_multiplier: Annotated[float, Choice(1.0, 0.75, 0.5)] = 1.0,
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
        depth: Blocks in each group.
        block: Single convolutions, or pairs of them with a shortcut.
        pooling: How each group halves the resolution: maximum or average pooling of 2 x 2
            positions, or a convolution with stride 2.
        head: Pooling of each channel over all positions: maximum, average, or both.
        resolution_multiplier: Side of the images inside the network, relative to their own; at
            least 8 pixels (Howard et al. 2017, "MobileNets"), and as many as the groups can halve,
            since images may be smaller early in training.
        activation: Activation function of the groups.
        dropout: Probability of dropping a feature before the last layer in training.

    Raises:
        ValueError: A side is under 8 pixels.

    Example:
        >>> import torch
        >>> network = convnet(10, 3, size=(32, 32), width=16)
        >>> tuple(network(torch.zeros(2, 3, 32, 32)).shape)
        (2, 10)

    """
    if min(size) < SMALLEST:
        raise ValueError(f"Both sides of `size` must be at least {SMALLEST}, but got {size=}.")
    side = min(_inside(size, resolution_multiplier))
    stem = _stem(channels, side)
    count = max(2, min(4, round(math.log2(side / stem.stride / 4))))
    widths = [max(THINNEST, width * multiple) for multiple in LADDERS[count]]
    make = partial(group, block=block, depth=depth, pooling=pooling, activation=activation)
    groups = nn.Sequential(*map(make, (stem.channels_out, *widths[:-1]), widths))
    return ConvNet(
        stem,
        groups,
        Head(widths[-1], classes, pooling=head, dropout=dropout),
        multiplier=resolution_multiplier,
    )
