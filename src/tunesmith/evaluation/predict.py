"""Run a network on images in batches. Shape letters: N images, K classes."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.evaluation.memory import is_out_of_memory
from tunesmith.models.layout import arranged
from tunesmith.models.preprocess import Normalize

BATCH = 128


@torch.no_grad()
def logits(
    forward: Callable[[Tensor], Tensor],
    x_NCHW: Tensor,
    *,
    normalize: Normalize,
    channels_last: bool,
    copies: int = 1,
) -> NDArray[np.float32]:
    """Compute logits of images that already have the network's input size.

    Args:
        forward: Maps normalized images to logits ``(N, K)``: a network in evaluation mode.
        x_NCHW: uint8 images.
        normalize: Normalization by the training set's mean and standard deviation; it is on the
            network's device.
        channels_last: Memory layout to compute in: that of training.
        copies: Copies of each image that ``forward`` makes, for views of it. Batches are the
            smaller, for the sake of the cache: larger ones took half as long again.

    Returns:
        Logits ``(N, K)``.
    """
    device = normalize.mean.device

    def answer(x: Tensor) -> Tensor:
        x = arranged(normalize(x.to(device)), channels_last=channels_last)
        return forward(x).float().cpu()

    parts = [_in_memory(answer, x) for x in torch.split(x_NCHW, max(1, BATCH // copies))]
    z_NK: NDArray[np.float32] = torch.cat(parts).numpy()
    return z_NK


def _in_memory(answer: Callable[[Tensor], Tensor], x_NCHW: Tensor) -> Tensor:
    """Run a batch at once, or, if memory runs out, half of it at a time."""
    try:
        return answer(x_NCHW)
    except (RuntimeError, MemoryError) as error:
        if len(x_NCHW) == 1 or not is_out_of_memory(error):
            raise
    # Only here, since the error keeps what was allocated until the handler ends.
    halves = torch.tensor_split(x_NCHW, 2)
    return torch.cat([_in_memory(answer, half) for half in halves])
