"""A network as users write their own; `tuned_fit.py` measures what a search makes of it.

    tunesmith fit DATA --model benchmarks/small_network.py:build

Its defaults are common choices, not tuned ones.
"""

from typing import Annotated

from torch import nn

from tunesmith import Choice, Float, Int

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
GROUPS = 3  # each has half of the resolution, and twice the channels, of the one before


def build(
    classes: int,
    channels: int,
    *,
    width: Annotated[int, Int(8, 64, log=True)] = 32,
    depth: Annotated[int, Int(1, 3)] = 1,
    activation: Annotated[str, Choice(*ACTIVATIONS)] = "relu",
    pooling: Annotated[str, Choice(*POOLINGS)] = "max",
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.0,
) -> nn.Module:
    """Build a small convolutional network, for images with sides of 8 pixels or more."""
    layers: list[nn.Module] = []
    for group in range(GROUPS):
        for _ in range(depth):
            out = width * 2**group
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)]
            layers += [ACTIVATIONS[activation]()]
            channels = out
        layers += [POOLINGS[pooling](2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, *head, nn.Linear(channels, classes))
