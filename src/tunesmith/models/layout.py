"""Memory layouts of images and networks: contiguous, or channels last, which is often faster.

Networks that call ``x.view(len(x), -1)`` after a convolution compute contiguous images alone.
"""

import torch
from torch import Tensor, nn

IMAGES = 4  # dimensions of a tensor that has a layout with channels last


def arranged(x_NCHW: Tensor, *, channels_last: bool) -> Tensor:
    """Return images in a layout; unlike `Tensor.contiguous`, gray ones too, for what follows.

    Example:
        >>> x_NCHW = torch.zeros(2, 8, 8, 1).permute(0, 3, 1, 2)
        >>> nn.Conv2d(1, 5, 3)(x_NCHW.contiguous()).is_contiguous()
        False
        >>> nn.Conv2d(1, 5, 3)(arranged(x_NCHW, channels_last=False)).is_contiguous()
        True

    """
    return x_NCHW.to(memory_format=_format(channels_last=channels_last))


def arrange(network: nn.Module, *, channels_last: bool) -> nn.Module:
    """Change the layout of a network's weights and buffers in place, where they have one.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv3d(1, 1, 1))
        >>> arrange(network, channels_last=True)[0].weight.stride()
        (27, 1, 9, 3)

    """
    memory = _format(channels_last=channels_last)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() == IMAGES:
            tensor.data = tensor.data.to(memory_format=memory)
    return network


def _format(*, channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.contiguous_format
