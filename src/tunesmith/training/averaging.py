"""Moving average of the weights: good at any time, not only at the end of a decay."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

EVERY = 5  # steps between two updates of the average; more of them cost time and change nothing


def decay_after(updates: int, *, longest: float) -> float:
    """Decay of the next update: small at first, so that the start is forgotten soon.

    Example:
        >>> decay_after(0, longest=0.95), decay_after(10_000, longest=0.95)
        (0.1, 0.95)

    """
    return min(longest, (1 + updates) / (10 + updates))


def infinite_in(state: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the names of what is not finite, such as the mask of an attention.

    Example:
        >>> sorted(infinite_in({"weight": torch.ones(2), "mask": torch.tensor([0, -torch.inf])}))
        ['mask']

    """
    real = [name for name, value in state.items() if value.is_floating_point()]
    finite = torch.stack([state[name].isfinite().all() for name in real]).tolist()
    return frozenset(name for name, is_finite in zip(real, finite, strict=True) if not is_finite)


@torch.no_grad()
def update(
    average: Mapping[str, Tensor],
    network: nn.Module,
    *,
    decay: float,
    infinite: Collection[str] = (),
) -> None:
    """Move an exponential moving average of weights and running statistics towards the network.

    ``average`` is updated in place; integer tensors are copied. What is named as ``infinite`` is
    copied where it is so, since infinite values have no average.
    """
    state = network.state_dict()
    real = [name for name, value in state.items() if value.is_floating_point()]
    torch._foreach_lerp_(  # as torch's own optimizers do; there is no public name
        [average[name] for name in real], [state[name] for name in real], 1 - decay
    )
    for name in state.keys() - set(real):
        average[name].copy_(state[name])
    for name in infinite:
        mean = average[name]
        mean.copy_(torch.where(mean.isfinite(), mean, state[name]))
