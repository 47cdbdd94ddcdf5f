"""Metadata of pretrained networks, in timm's format; and whether there is truth in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, final

import torch
from torch import Tensor, nn

from tunesmith.core.errors import ModelError
from tunesmith.models.custom import answer
from tunesmith.models.preprocess import Normalize

WHITE = 255  # timm's values are from 0 to 1, pixels from 0 to 255
COLORS = 3
OPAQUE = 1.0  # mean and standard deviation of alpha: nothing is added to images without holes
SAMPLED = 1000  # weights of each layer to compare


@final
@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Input normalization and last layer of a pretrained network.

    Attributes:
        mean: Mean of the inputs that it expects, one value per channel, in gray levels.
        std: Standard deviation of these inputs.
        classifier: Name of the last layer, an `nn.Linear`.
        bias: Whether that layer has biases.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    classifier: str
    bias: bool

    def normalize(self) -> Normalize:
        """Make the normalization that the network expects."""
        return Normalize(torch.tensor(self.mean), torch.tensor(self.std))


def pretrained_of(network: nn.Module, channels: int) -> Pretrained | None:
    """Read ``network.pretrained_cfg``: a mapping with ``mean``, ``std`` and ``classifier``.

    Values for red, green and blue also do for gray images, which get their mean, and for images
    with an alpha channel.

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
        raise _not_last(layer)
    if "weight" not in dict(found.named_parameters(recurse=False)):
        raise _not_last(layer, ", whose weights are computed from others, as by weight_norm")
    return Pretrained(
        mean=_levels(stated, "mean", channels),
        std=_levels(stated, "std", channels),
        classifier=str(layer),
        bias=found.bias is not None,
    )


def check_classifier(
    network: nn.Module, pretrained: Pretrained, x_NCHW: Tensor, classes: int
) -> None:
    """Try whether the layer that is named as the last one is where a head may be put.

    Args:
        network: A user's network.
        pretrained: Its metadata.
        x_NCHW: Two images.
        classes: Number of classes.

    Raises:
        ModelError: The layer has no value for each class, or is not called once, with a vector for
            each image; or the network raises.
    """
    name = pretrained.classifier
    layer = network.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    if layer.out_features != classes:
        raise _not_last(name, f", which has {layer.out_features:,} outputs for {classes} classes")
    shapes: list[tuple[int, ...]] = []
    with layer.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape))):
        answer(network.eval(), x_NCHW)
    if shapes != [expected := (len(x_NCHW), layer.in_features)]:
        got = " and ".join(map(str, shapes)) or "nothing (is only its weight used?)"
        raise _not_last(name, f", which must get {expected} once for two images, and gets {got}")


def _not_last(layer: object, why: str = "") -> ModelError:
    return ModelError(
        "`pretrained_cfg` of your network must name its last nn.Linear as `classifier`, but names "
        f"{layer!r}{why}. Mend it, or delete `pretrained_cfg` to train from scratch."
    )


def _levels(stated: Mapping[str, Any], key: str, channels: int) -> tuple[float, ...]:
    """Read the mean or the standard deviation of each channel, in gray levels."""
    values, is_mean = stated.get(key), key == "mean"
    numbers: list[float] = []
    if isinstance(values, list | tuple) and all(_is_share(v, with_0=is_mean) for v in values):
        numbers = [float(value) for value in values]
    if len(numbers) == COLORS:
        numbers = _recolored(numbers, channels)
    if len(numbers) != channels:
        raise ModelError(
            f"`pretrained_cfg` of your network must have as `{key}` one number "
            f"{'from 0 to 1' if is_mean else 'above 0, up to 1,'} for each of {channels} channels, "
            f"but has {values!r}. Mend it (gray levels are divided by {WHITE}), or delete "
            "`pretrained_cfg` to train from scratch."
        )
    return tuple(WHITE * number for number in numbers)


def _is_share(value: object, *, with_0: bool) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, Real) and 0 <= float(value) <= 1 and (with_0 or float(value) > 0)


def _recolored(values: list[float], channels: int) -> list[float]:
    """Adapt values for red, green and blue to other channels."""
    if channels == 1:
        return [sum(values) / COLORS]
    return [*values, OPAQUE][:channels]


def some_weights(network: nn.Module, classifier: str) -> dict[str, Tensor]:
    """Return some weights of each layer but the last, to compare; they take little memory.

    Vectors are left out, and layers whose weights are all equal: these tell nothing, as they are
    made by a rule.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
        >>> {name: len(w) for name, w in some_weights(network, "1").items()}
        {'0.weight': 6}

    """
    found = {}
    for name, p in network.named_parameters():
        step = max(1, p.numel() // SAMPLED)
        values = p.detach().flatten()[::step].clone()
        if p.ndim > 1 and name.rpartition(".")[0] != classifier and (values != values[:1]).any():
            found[name] = values
    return found


def are_learned(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether weights that were made at two random seeds are the same, but for a minority.

    Those that were learned are, and random ones are not. A network that fixes its own seed cannot
    be told from a learned one, and is believed.

    Example:
        >>> learned, random = torch.tensor([0.1, 0.7]), torch.tensor([0.4, -0.2])
        >>> are_learned({"a": learned}, {"a": learned}), are_learned({"a": learned}, {"a": random})
        (True, False)

    """
    same = sum(
        len(values)
        for name, values in some.items()
        if name in others and torch.equal(values, others[name])
    )
    return 2 * same >= sum(map(len, some.values()))
