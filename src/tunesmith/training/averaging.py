"""Weight averaging: a network that is good at any moment, not only at the end of a decay."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

EVERY = 5  # steps from one update of the average to the next; more often costs and changes nothing


def decay_after(updates: int, *, longest: float) -> float:
    """Decay for the next update: short at first, so that the start is forgotten soon.

    Example:
        >>> decay_after(0, longest=0.95), decay_after(10_000, longest=0.95)
        (0.1, 0.95)

    """
    return min(longest, (1 + updates) / (10 + updates))


@torch.no_grad()
def update(average: Mapping[str, Tensor], network: nn.Module, *, decay: float) -> None:
    """Move an exponential moving average of weights and running statistics towards the network.

    Written into ``average`` in place; whole-number tensors are copied.
    """
    state = network.state_dict()
    real = [name for name, value in state.items() if value.is_floating_point()]
    torch._foreach_lerp_(  # as torch's own optimizers do; there is no public name
        [average[name] for name in real], [state[name] for name in real], 1 - decay
    )
    for name in state.keys() - set(real):
        average[name].copy_(state[name])


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Recompute the running statistics of batch normalization for the weights as they are.

    Averaged weights need statistics of their own (Izmailov et al. 2018, section 3.2).

    Args:
        network: Changed in place; left in evaluation mode.
        batches: Normalized training images ``(N, C, H, W)``, augmented as in training.
    """
    norms: list[Any] = [m for m in network.modules() if hasattr(m, "running_mean")]
    before = [m.momentum for m in norms]
    network.train()
    for count, x_NCHW in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / count
        network(x_NCHW)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    network.eval()
