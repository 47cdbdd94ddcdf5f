"""Metadata of pretrained networks, in timm's format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from tunesmith.core.errors import ModelError
from tunesmith.models.preprocess import Normalize

WHITE = 255  # timm's values are from 0 to 1, pixels from 0 to 255


@final
@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Input normalization and last layer of a pretrained network.

    Attributes:
        mean: Mean of the inputs that it expects, one value per channel, in gray levels.
        std: Standard deviation of these inputs.
        classifier: Name of the last layer, an `nn.Linear`.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    classifier: str

    def normalize(self) -> Normalize:
        """Make the normalization that the network expects."""
        return Normalize(torch.tensor(self.mean), torch.tensor(self.std))


def pretrained_of(network: nn.Module, channels: int) -> Pretrained | None:
    """Read ``network.pretrained_cfg``: a mapping with ``mean``, ``std`` and ``classifier``.

    Returns:
        The metadata; None if there are none, so that the network is trained from scratch.

    Raises:
        ModelError: The mapping does not fit the network.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        >>> network.pretrained_cfg = {"mean": [0.5] * 3, "std": [0.25] * 3, "classifier": "1"}
        >>> pretrained_of(network, 3).mean
        (127.5, 127.5, 127.5)

    """
    stated = getattr(network, "pretrained_cfg", None)
    if not isinstance(stated, Mapping):
        return None
    layer = stated.get("classifier")
    found = dict(network.named_modules()).get(layer) if isinstance(layer, str) else None
    if not isinstance(found, nn.Linear):
        raise ModelError(
            "`pretrained_cfg` of your network must name its last nn.Linear as `classifier`, but "
            f"names {layer!r}. Mend it, or delete `pretrained_cfg` to train from scratch."
        )
    return Pretrained(
        mean=_levels(stated, "mean", channels),
        std=_levels(stated, "std", channels),
        classifier=str(layer),
    )


def _levels(stated: Mapping[str, Any], key: str, channels: int) -> tuple[float, ...]:
    values = stated.get(key)
    if not isinstance(values, list | tuple) or len(values) != channels:
        raise ModelError(
            f"`pretrained_cfg` of your network must have as `{key}` one number from 0 to 1 for "
            f"each of {channels} channels, but has {values!r}."
        )
    return tuple(WHITE * float(value) for value in values)
