"""The layers of a network, from the first one to the last, by the names of its parameters."""

import itertools
from collections.abc import Mapping

from torch import nn

# Steps from the first layer to the last, at most: as many as EfficientNet-Lite0 has. Where no
# number stands alone in the names, as in a DenseNet, each convolution is a layer: by a decay of 0.8
# over 234 of them, nine in ten would train at less than a hundredth of the last one's rate.
MOST_STEPS = 18


def layer_of(name: str) -> str:
    """The layer that a parameter belongs to: its path up to the first number, or to its end.

    Example:
        >>> layer_of("blocks.3.layers.0.weight"), layer_of("model.head.bias")
        ('blocks.3', 'model.head')

    """
    parts = name.split(".")[:-1]
    numbers = [place for place, part in enumerate(parts) if part.isdecimal()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts)


def layers(network: nn.Module) -> dict[str, list[str]]:
    """Names of the parameters of each layer, from the first layer to the last.

    The order is that in which a network lists them, but the classifier that a pretrained network
    names in ``pretrained_cfg`` is the last layer.

    Example:
        >>> layers(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)))
        {'0': ['0.weight', '0.bias'], '2': ['2.weight', '2.bias']}

    """
    stated = getattr(network, "pretrained_cfg", None)
    classifier = stated.get("classifier") if isinstance(stated, Mapping) else None
    found: dict[str, list[str]] = {}
    last = []
    for name, _ in network.named_parameters():
        if name.rpartition(".")[0] == classifier:
            last.append(name)
        else:
            found.setdefault(layer_of(name), []).append(name)
    return {**found, str(classifier): last} if last else found


def _first(network: nn.Module, share: float) -> dict[str, list[str]]:
    """Names of the parameters of the first ``share`` of a network's layers, rounded down."""
    order = layers(network)
    return dict(itertools.islice(order.items(), int(share * len(order))))


def freeze(network: nn.Module, share: float) -> None:
    """Exclude the first ``share`` of a network's layers from training, rounded down.

    The first layers of a pretrained network are the most general, and work on the largest images:
    without gradients for them, a step is much shorter.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Linear(2, 2))
        >>> freeze(network, 0.5)
        >>> [p.requires_grad for p in network.parameters()]
        [False, False, True, True, True, True]

    """
    for name in itertools.chain.from_iterable(_first(network, share).values()):
        network.get_parameter(name).requires_grad = False


def set_training(network: nn.Module, share: float) -> None:
    """Set a network to training mode, but not the norms in the first ``share`` of its layers.

    These normalize by the statistics that they have learned, and keep them: by those of small
    batches, what frozen layers tell the others would change all the time.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2))
        >>> set_training(network, 0.7)
        >>> [module.training for module in network]
        [True, False, True]

    """
    network.train()
    frozen = _first(network, share) if share else {}
    for name, module in network.named_modules():
        has_statistics = getattr(module, "running_mean", None) is not None
        if has_statistics and layer_of(f"{name}.running_mean") in frozen:
            module.eval()


def steps_to_last(network: nn.Module) -> dict[str, float]:
    """Steps from each parameter's layer to the last one, 0 for that, by the parameter's name.

    In a network of more than `MOST_STEPS` of them, all are shortened alike.

    Example:
        >>> steps_to_last(nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)))
        {'1.weight': 0.0, '0.weight': 1.0}

    """
    order = list(reversed(layers(network).values()))
    length = min(1.0, MOST_STEPS / max(1, len(order) - 1))
    return {name: place * length for place, layer in enumerate(order) for name in layer}
