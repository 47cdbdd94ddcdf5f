"""Tests of `tunesmith.training.layers`."""

import pytest
from torch import nn

from tunesmith.models.efficientnet_lite import efficientnet_lite0
from tunesmith.training.layers import MOST_STEPS, freeze, layers, steps_to_last


def nested(paths: list[str]) -> nn.Module:
    """A network with a linear layer at each path."""
    network = nn.Module()
    for path in paths:
        *outer, last = path.split(".")
        inner = network
        for part in outer:
            if not hasattr(inner, part):
                inner.add_module(part, nn.Module())
            inner = inner.get_submodule(part)
        inner.add_module(last, nn.Linear(1, 1))
    return network


DENSENET = [
    "features.conv0",
    *(
        f"features.denseblock{block}.denselayer{layer}.{part}"
        for block, count in enumerate((6, 12, 24, 16), 1)
        for layer in range(1, count + 1)
        for part in ("norm1", "conv1", "norm2", "conv2")
    ),
    "classifier",
]
INCEPTION = [
    "Conv2d_1a_3x3.conv",
    *(f"Mixed_{n}.branch{part}.conv" for n in ("5b", "6a", "7a") for part in range(9)),
    "fc",
]
REGNET = ["stem.conv", *(f"s{n}.b{m}.conv1.conv" for n in range(1, 5) for m in range(1, 8)), "fc"]


@pytest.mark.parametrize("paths", [DENSENET, INCEPTION, REGNET])
def test_very_many_layers_are_no_more_steps_than_ours_has(paths: list[str]) -> None:
    """Where no number stands alone in the names, every convolution counts as a layer."""
    network = nested(paths)
    found = steps_to_last(network)
    assert len(layers(network)) == len(paths) > MOST_STEPS + 1
    steps = [found[f"{path}.weight"] for path in paths]
    assert steps == sorted(set(steps), reverse=True)
    assert steps[0] == pytest.approx(MOST_STEPS)
    assert steps[-1] == 0


def test_as_many_layers_as_ours_has_are_a_step_apart() -> None:
    network = efficientnet_lite0(2, 3, size=(32, 32))
    order = list(reversed(layers(network).values()))
    assert len(order) == MOST_STEPS + 1
    assert steps_to_last(network) == {name: n for n, layer in enumerate(order) for name in layer}


class Wrapped(nn.Module):
    """A network in another one, as libraries have them, whose last layer is listed first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2)
        self.model = nn.ModuleDict({"stem": nn.Linear(2, 2), "body": nn.Linear(2, 2)})
        self.pretrained_cfg = {"classifier": "head"}


def test_the_classifier_is_the_last_layer_wherever_it_is_listed() -> None:
    network = Wrapped()
    assert list(layers(network)) == ["model.stem", "model.body", "head"]
    for _ in range(2):  # a backbone may be shared by all networks that are built
        freeze(network, 0.4)
        frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
        assert frozen == ["model.stem.weight", "model.stem.bias"]
    freeze(network, 0.9)
    assert network.head.weight.requires_grad
