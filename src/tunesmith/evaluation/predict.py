"""What a network answers, in batches. Shape letters: N images, K classes."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.models.preprocess import Normalize

BATCH = 128


@torch.no_grad()
def logits(
    forward: Callable[[Tensor], Tensor],
    x_NCHW: Tensor,
    *,
    normalize: Normalize,
    channels_last: bool = True,
) -> NDArray[np.float32]:
    """Logits of images that already have the network's size.

    Args:
        forward: Maps normalized images to logits ``(N, K)``; a network in evaluation mode, or
            `Deployed.logits`.
        x_NCHW: uint8 images.
        normalize: Mean and deviation of the training images; where it is, the network is too.
        channels_last: Memory layout in which the network runs fastest.

    Returns:
        Logits ``(N, K)``.
    """
    memory = torch.channels_last if channels_last else torch.contiguous_format
    device = normalize.mean.device
    parts = [
        forward(normalize(x.to(device)).contiguous(memory_format=memory)).float().cpu()
        for x in torch.split(x_NCHW, BATCH)
    ]
    z_NK: NDArray[np.float32] = torch.cat(parts).numpy()
    return z_NK
