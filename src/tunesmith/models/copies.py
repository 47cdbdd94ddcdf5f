"""Copies of a user's network, whose factory may take long: it may read weights each time."""

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.models.custom import Factory, call_factory, with_sizes


def build_once(
    factory: Factory,
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    params: Mapping[str, Any],
) -> nn.Module:
    """Build a user's network, or copy it if it was the last one built, at the same random state.

    The result, and the random state afterwards, are those of calling the factory. It is called
    again if its network cannot be copied.

    Args:
        factory: The user's factory.
        classes: Number of classes.
        channels: Channels of the images.
        size: Height and width of the images.
        params: Parameters of the factory; JSON values.

    Raises:
        ModelError: The factory raises, or returns no network.
    """
    before = torch.get_rng_state()
    network, after = _built(
        factory,
        classes,
        channels,
        size=size,
        params=json.dumps(dict(params), sort_keys=True),
        random_state=before.numpy().tobytes(),
    )
    if network is None:
        torch.set_rng_state(before)
        made = call_factory(factory, classes, channels, size=size, params=params)
        return with_sizes(made, channels, size)
    torch.set_rng_state(after)
    return copy.deepcopy(network)


@functools.lru_cache(maxsize=1)  # a network may be large
def _built(
    factory: Factory,
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    params: str,
    random_state: bytes,  # noqa: ARG001 (the network depends on it all the same)
) -> tuple[nn.Module | None, Tensor]:
    """Return a network to copy, None if that is not possible, and the random state after it."""
    made = call_factory(factory, classes, channels, size=size, params=json.loads(params))
    network, after = with_sizes(made, channels, size), torch.get_rng_state()
    return network if _is_copied_whole(network, channels, size) else None, after


def _is_copied_whole(network: nn.Module, channels: int, size: tuple[int, int]) -> bool:
    """Whether a copy works, by its own weights: a function in a network may know the original."""
    try:
        copied = copy.deepcopy(network).eval()
        with torch.enable_grad():
            total = copied(torch.zeros((2, channels, *size))).sum()
            of_original = [p for p in network.parameters() if p.requires_grad]
            found = torch.autograd.grad(total, of_original, allow_unused=True)
    except Exception:  # noqa: BLE001 (a network may do anything, and is tried again elsewhere)
        return False
    return all(gradient is None for gradient in found)
