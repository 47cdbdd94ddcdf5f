"""Components that networks are made of.

Shape letters: N images, C channels, H height, W width, D features, K classes.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunesmith.models.depthwise import depthwise

Activation = Literal["gelu", "relu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU}
MAXIMUM, AVERAGE = nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d
# Pooling of each channel over all positions: maximum, average, or both.
GLOBAL_POOLINGS: dict[str, tuple[Callable[[int], nn.Module], ...]] = {
    "max": (MAXIMUM,), "average": (AVERAGE,), "both": (MAXIMUM, AVERAGE)
}  # fmt: skip


class Whitening(nn.Module):
    """A fixed first convolution that decorrelates patches.

    Its filters are the eigenvectors of the patches' covariance, scaled to unit variance, and their
    negatives (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU"). The optimizer then
    starts from inputs that are equally strong in every direction. Nothing here is trained, not even
    a bias: a gradient at full resolution would cost a narrow network a sixth of its time.

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

    @property
    def channels_out(self) -> int:
        """Channels of the output."""
        return len(self.weight)

    def side_for(self, out: int) -> int:
        """Smallest side of an input whose output has sides of ``out``."""
        return (out - 1) * self.stride + self.weight.shape[-1] - 2 * self.padding

    @torch.no_grad()
    def fit(self, x_NCHW: Tensor, *, epsilon: float = 5e-4) -> None:
        """Set the filters from normalized images ``(N, C, H, W)``; half a million pixels do."""
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
        return F.conv2d(x_NCHW, self.weight, None, self.stride, self.padding)


def conv3x3(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution that is initialized as the identity on its input channels.

    The first ``channels_in`` filters are a Dirac pulse (Zagoruyko and Komodakis 2017), the rest
    the usual random ones, so that a deep stack passes its input on from the first step.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, ceil(H / stride), ceil(W / stride))``
    """
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:channels_in])
    return conv


class FixedGainNorm(nn.Module):
    """Batch normalization with a trained shift and no trained gain.

    Without the gain, a filter's scale only affects how fast its direction changes.

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
        if self.groups == self.in_channels == self.out_channels and above == left:
            return depthwise(x_NCHW, self.weight, self.bias, stride=stride, padding=above)
        return F.conv2d(x_NCHW, self.weight, self.bias, stride, (above, left), groups=self.groups)


class Residual(nn.Module):
    """Layers with a shortcut connection (He et al. 2016, "Deep residual learning").

    Shape:
        - input: ``(N, C, H, W)``
        - output: that of the layers

    Args:
        layers: Layers, applied one after the other.
        shortcut: Its output is added to that of the layers; None for no shortcut.

    Example:
        >>> block = Residual(nn.Conv2d(4, 4, 1), nn.ReLU(), shortcut=nn.Identity())
        >>> tuple(block(torch.zeros(1, 4, 8, 8)).shape)
        (1, 4, 8, 8)

    """

    def __init__(self, *layers: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the block; see the class for the shapes."""
        y_NCHW: Tensor = self.layers(x_NCHW)
        return y_NCHW if self.shortcut is None else self.shortcut(x_NCHW) + y_NCHW


class Head(nn.Module):
    """Global pooling, a fully connected layer without bias, and a fixed scale.

    Shape:
        - input: ``(N, channels, H, W)``
        - output: ``(N, classes)``, logits

    Args:
        channels: Channels of the input.
        classes: Number of classes.
        pooling: Name in `GLOBAL_POOLINGS`.
        scale: Factor of the logits; small, so that a step of the weights changes them little.
        dropout: Probability of dropping a feature in training.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        pooling: str = "max",
        scale: float = 1 / 9,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pools = nn.ModuleList(pool(1) for pool in GLOBAL_POOLINGS[pooling])
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(len(self.pools) * channels, classes, bias=False)
        self.scale = scale
        with torch.no_grad():  # each feature moves a logit by 1 / features at first
            weight_KD = self.linear.weight
            weight_KD /= weight_KD.std() * scale * self.linear.in_features

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the head; see the class for the shapes."""
        f_ND = torch.cat([pool(x_NCHW).flatten(1) for pool in self.pools], dim=1)
        z_NK: Tensor = self.linear(self.dropout(f_ND))
        return z_NK * self.scale
