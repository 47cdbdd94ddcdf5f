"""Groups: a few blocks of one kind, the first of which halves the resolution.

Shape letters: N images, C channels, H height, W width.
"""

from functools import partial

from torch import Tensor, nn

from tunesmith.models.blocks import ACTIVATIONS, FixedGainNorm, Residual, conv3x3

POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def _pool(pooling: str | None) -> list[nn.Module]:
    """Make the pooling layer after a convolution; none if that halves the resolution itself."""
    return [POOLINGS[pooling](2)] if pooling in POOLINGS else []


def _stride(pooling: str | None) -> int:
    """Stride of a convolution: 2 if it halves the resolution itself, else 1."""
    return 2 if pooling == "stride" else 1


class ConvGroup(nn.Module):
    """A convolution after which the resolution is halved, then more at that resolution.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, H // 2, W // 2)``; with ``"stride"`` the halves are rounded up

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        depth: Number of convolutions. Those after the second have a shortcut.
        pooling: Name in `POOLINGS`, or ``"stride"``.
        activation: Name in `ACTIVATIONS`.

    Example:
        >>> import torch
        >>> tuple(ConvGroup(24, 64)(torch.zeros(2, 24, 31, 31)).shape)
        (2, 64, 15, 15)

    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        depth: int = 2,
        pooling: str = "max",
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        first = conv3x3(channels_in, channels_out, stride=_stride(pooling))
        more = (conv3x3(channels_out, channels_out) for _ in range(depth - 1))
        self.convs = nn.ModuleList([first, *more])
        self.norms = nn.ModuleList(FixedGainNorm(channels_out) for _ in range(depth))
        self.pool = nn.Sequential(*_pool(pooling))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the group; see the class for the shapes."""
        x_NCHW = self.activation(self.norms[0](self.pool(self.convs[0](x_NCHW))))
        for place, (conv, norm) in enumerate(zip(self.convs[1:], self.norms[1:], strict=True)):
            y_NCHW = self.activation(norm(conv(x_NCHW)))
            x_NCHW = y_NCHW if place == 0 else x_NCHW + y_NCHW
        return x_NCHW


def residual_block(
    channels_in: int, channels_out: int, *, pooling: str | None = None, activation: str = "gelu"
) -> Residual:
    """Make a residual block of two convolutions (He et al. 2016).

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, H, W)``, or as `ConvGroup` where the resolution is halved

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output; equal, unless the resolution is halved.
        pooling: How to halve the resolution: a name in `POOLINGS`, or ``"stride"``; None to keep
            it.
        activation: Name in `ACTIVATIONS`.
    """
    project = nn.Sequential(
        *_pool(pooling),
        nn.Conv2d(channels_in, channels_out, 1, _stride(pooling), bias=False),
        FixedGainNorm(channels_out),
    )
    return Residual(
        conv3x3(channels_in, channels_out, stride=_stride(pooling)),
        *_pool(pooling),
        FixedGainNorm(channels_out),
        ACTIVATIONS[activation](),
        conv3x3(channels_out, channels_out),
        FixedGainNorm(channels_out),
        ACTIVATIONS[activation](),
        shortcut=project if pooling else nn.Identity(),
    )


def group(
    channels_in: int,
    channels_out: int,
    *,
    block: str,
    depth: int,
    pooling: str,
    activation: str,
) -> nn.Module:
    """Make a group of ``depth`` blocks, the first of which halves the resolution.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: as `ConvGroup`

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        block: ``"plain"`` or ``"residual"``.
        depth: Number of blocks; plain ones are single convolutions.
        pooling: Name in `POOLINGS`, or ``"stride"``.
        activation: Name in `ACTIVATIONS`.

    Example:
        >>> import torch
        >>> options = dict(depth=2, pooling="stride", activation="relu")
        >>> [
        ...     tuple(group(24, 64, block=block, **options)(torch.zeros(2, 24, 31, 31)).shape)
        ...     for block in ("plain", "residual")
        ... ]
        [(2, 64, 16, 16), (2, 64, 16, 16)]

    """
    if block == "plain":
        return ConvGroup(
            channels_in, channels_out, depth=depth, pooling=pooling, activation=activation
        )
    build = partial(residual_block, activation=activation)
    first = build(channels_in, channels_out, pooling=pooling)
    return nn.Sequential(first, *(build(channels_out, channels_out) for _ in range(depth - 1)))
