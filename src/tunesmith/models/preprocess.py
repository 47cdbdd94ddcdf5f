"""From pixels to the input of a network: the same code in training, tests and the graph.

Shape letters: N images, H height, W width, C channels.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tunesmith.models.layout import arranged


def resize(x_NCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images by antialiased bilinear interpolation, floats without rounding.

    The image is stretched to ``size``: nothing is cropped or padded. (The input size follows the
    mean aspect ratio of the images, so that most are hardly distorted.)

    Shape:
        - input: ``(N, C, H, W)``
        - output: ``(N, C, *size)``

    Example:
        >>> tuple(resize(torch.zeros(2, 3, 40, 30), (20, 20)).shape)
        (2, 3, 20, 20)

    """
    return F.interpolate(x_NCHW, size=size, mode="bilinear", antialias=True)


def resize_pixels(x_HWC: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize one image as `resize` does, but in uint8, for the training store.

    For a large photograph, this is sixteen times as fast as converting it to float32 first.
    Rounding in both directions changes a training image by a gray level at most; the exported graph
    and the test never round.

    Shape:
        - input: ``(H, W, C)``
        - output: ``(*size, C)``
    """
    x_NCHW = torch.from_numpy(np.ascontiguousarray(x_HWC)).permute(2, 0, 1)[None]
    y_HWC: NDArray[np.uint8] = resize(x_NCHW, size)[0].permute(1, 2, 0).contiguous().numpy()
    return y_HWC


class Normalize(nn.Module):
    """Shift and scale pixels so that each channel has mean 0 and standard deviation 1.

    Shape:
        - input: ``(N, C, H, W)``, 0 to 255
        - output: the same, float32

    Args:
        mean: One value per channel, in gray levels.
        std: One value per channel, in gray levels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1).float())
        self.register_buffer("std", std.reshape(1, -1, 1, 1).float())

    @classmethod
    def of(cls, x_NCHW: Tensor) -> Self:
        """Measure mean and standard deviation on images of shape ``(N, C, H, W)``.

        A constant channel gets a standard deviation of one gray level, to avoid a division by zero.
        """
        x_CX = x_NCHW.float().transpose(0, 1).flatten(1)
        return cls(x_CX.mean(1), x_CX.std(1).clamp_min(1.0))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Normalize; see the class for the shapes."""
        return (x_NCHW.float() - self.mean) / self.std


class Deployed(nn.Module):
    """The deployed model: from uint8 images of any size to calibrated probabilities.

    Shape:
        - input ``images``: ``(N, H, W, C)``, uint8, RGB or gray, any N, H and W
        - output ``probabilities``: ``(N, K)``, float32

    Args:
        network: Maps normalized images ``(N, C, *size)`` to logits ``(N, K)``.
        normalize: Mean and standard deviation of the training images.
        size: Height and width of the network's input.
    """

    temperature: Tensor

    def __init__(self, network: nn.Module, normalize: Normalize, *, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.normalize = normalize
        self.size = size
        # A buffer, not a constant: it is fitted after the graph was traced.
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Apply the whole model; see the class for the shapes."""
        x_NCHW = self.normalize(resize(images.permute(0, 3, 1, 2).float(), self.size))
        z_NK = self.network(arranged(x_NCHW, channels_last=False))  # which any network computes
        return torch.softmax(z_NK / self.temperature, dim=1)
