"""Components that networks are made of.

Shape letters: N images, C channels, H height, W width, K classes.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["gelu", "relu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU}


class Whitening(nn.Module):
    """A fixed first convolution that decorrelates patches, with a trained bias.

    Its filters are the eigenvectors of the patches' covariance, scaled to unit variance, and their
    negatives (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU"). The optimizer then
    starts from inputs that are equally strong in every direction.

    Shape:
        - input: ``(N, C, H, W)``
        - output: ``(N, channels_out, H', W')``; with ``stride`` 1, H' is H (H - 1 for even kernels)

    Args:
        channels: Channels of the input.
        kernel_size: Side of the square patch.
        stride: Pixels from one patch to the next.
        directions: Eigenvectors kept, strongest first; at most ``channels * kernel_size ** 2``.

    Example:
        >>> layer = Whitening(3, kernel_size=2, directions=12)
        >>> tuple(layer(torch.zeros(8, 3, 32, 32)).shape)
        (8, 24, 31, 31)

    """

    weight: Tensor

    def __init__(
        self, channels: int, *, kernel_size: int, directions: int, stride: int = 1
    ) -> None:
        super().__init__()
        if not 0 < directions <= channels * kernel_size**2:
            raise ValueError(
                f"`directions` must be from 1 to channels * kernel_size ** 2 = "
                f"{channels * kernel_size**2}, but got {directions=}."
            )
        self.stride = stride
        self.padding = (kernel_size - stride + 1) // 2 if kernel_size % 2 or stride > 1 else 0
        half = torch.randn(directions, channels, kernel_size, kernel_size)
        half /= half.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        self.register_buffer("weight", torch.cat([half, -half]))
        self.bias = nn.Parameter(torch.zeros(2 * directions))

    @property
    def channels_out(self) -> int:
        """Channels of the output."""
        return len(self.bias)

    @torch.no_grad()
    def fit(self, x_NCHW: Tensor, *, epsilon: float = 5e-4) -> None:
        """Set the filters from normalized images ``(N, C, H, W)``; a thousand are enough."""
        directions, kernel = len(self.weight) // 2, self.weight.shape[-1]
        patches = F.unfold(x_NCHW, kernel, stride=max(1, kernel // 2))
        rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])
        rows = rows[:: max(1, len(rows) // 200_000)].double()
        values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
        strongest = vectors[:, -directions:] / (values[-directions:] + epsilon).sqrt()
        half = strongest.flip(1).T.reshape(directions, *self.weight.shape[1:]).float()
        self.weight.copy_(torch.cat([half, -half]))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the layer; see the class for the shapes."""
        return F.conv2d(x_NCHW, self.weight, self.bias, self.stride, self.padding)


def conv3x3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """Make a 3x3 convolution that starts as the identity on the channels it passes on.

    The first ``channels_in`` filters are a Dirac pulse (Zagoruyko and Komodakis 2017), the rest
    the usual random ones, so that a deep stack passes its input on from the first step.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, H, W)``
    """
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:channels_in])
    return conv


class FixedGainNorm(nn.Module):
    """Batch normalization with a trained shift and no trained gain.

    Without the gain, a filter's scale has one meaning only: how fast it turns.

    Shape:
        - input and output: ``(N, channels, H, W)``
    """

    running_mean: Tensor
    running_var: Tensor
    gain: Tensor

    def __init__(self, channels: int, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("gain", torch.ones(channels), persistent=False)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the layer; see the class for the shapes."""
        return F.batch_norm(
            x_NCHW,
            self.running_mean,
            self.running_var,
            self.gain,
            self.bias,
            training=self.training,
            momentum=self.momentum,
        )


class ConvGroup(nn.Module):
    """A convolution that halves the resolution by max pooling, then more at that resolution.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, H // 2, W // 2)``

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        depth: Convolutions in all. Those after the second are added to what they read.
        activation: Name in `ACTIVATIONS`.

    Example:
        >>> tuple(ConvGroup(24, 64)(torch.zeros(2, 24, 31, 31)).shape)
        (2, 64, 15, 15)

    """

    def __init__(
        self, channels_in: int, channels_out: int, *, depth: int = 2, activation: str = "gelu"
    ) -> None:
        super().__init__()
        widths = [channels_in] + [channels_out] * depth
        self.convs = nn.ModuleList(map(conv3x3, widths[:-1], widths[1:]))
        self.norms = nn.ModuleList(FixedGainNorm(channels_out) for _ in range(depth))
        self.pool = nn.MaxPool2d(2)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the group; see the class for the shapes."""
        x_NCHW = self.activation(self.norms[0](self.pool(self.convs[0](x_NCHW))))
        for place, (conv, norm) in enumerate(zip(self.convs[1:], self.norms[1:], strict=True)):
            y_NCHW = self.activation(norm(conv(x_NCHW)))
            x_NCHW = y_NCHW if place == 0 else x_NCHW + y_NCHW
        return x_NCHW


class SameConv2d(nn.Conv2d):
    """A convolution with bias that pads as TensorFlow does: the odd pixel goes right and below.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, ceil(H / stride), ceil(W / stride))``

    Example:
        >>> tuple(SameConv2d(3, 8, 3, stride=2)(torch.zeros(1, 3, 9, 6)).shape)
        (1, 8, 5, 3)

    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(channels_in, channels_out, kernel_size, stride, groups=groups)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the layer; see the class for the shapes."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, right = (
            max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
            for side in x_NCHW.shape[2:]
        )
        above, left = down // 2, right // 2
        if (down, right) != (2 * above, 2 * left):
            x_NCHW = F.pad(x_NCHW, (left, right - left, above, down - above))
            above = left = 0
        return F.conv2d(x_NCHW, self.weight, self.bias, stride, (above, left), groups=self.groups)


class InvertedResidual(nn.Module):
    """Widen, look around channel by channel, narrow again (Sandler et al. 2018, "MobileNetV2").

    Between the convolutions stands ReLU6, and no normalization: it is folded into the filters.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, ceil(H / stride), ceil(W / stride))``

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: Side of the channel-by-channel filters.
        stride: Pixels from one place to the next.
        expansion: How many times wider the middle is.

    Example:
        >>> block = InvertedResidual(16, 24, kernel_size=3, stride=2, expansion=6)
        >>> tuple(block(torch.zeros(1, 16, 8, 8)).shape)
        (1, 24, 4, 4)

    """

    def __init__(
        self, channels_in: int, channels_out: int, *, kernel_size: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels_in * expansion
        widen = [SameConv2d(channels_in, wide, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            SameConv2d(wide, wide, kernel_size, stride=stride, groups=wide),
            nn.ReLU6(),
            SameConv2d(wide, channels_out, 1),
        )
        self.adds = stride == 1 and channels_in == channels_out

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the block; see the class for the shapes."""
        y_NCHW: Tensor = self.layers(x_NCHW)
        return x_NCHW + y_NCHW if self.adds else y_NCHW


class Head(nn.Module):
    """Global max pooling, a fully connected layer without bias, and a fixed scale.

    Shape:
        - input: ``(N, channels, H, W)``
        - output: ``(N, classes)``, logits

    Args:
        channels: Channels of the input.
        classes: Number of classes.
        scale: Factor of the logits; small, so that a step of the weights moves them little.
        dropout: Share of features set to zero in training.
    """

    def __init__(
        self, channels: int, classes: int, *, scale: float = 1 / 9, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, classes, bias=False)
        self.scale = scale
        with torch.no_grad():
            self.linear.weight /= self.linear.weight.std()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the head; see the class for the shapes."""
        z_NK: Tensor = self.linear(self.dropout(self.pool(x_NCHW).flatten(1)))
        return z_NK * self.scale
