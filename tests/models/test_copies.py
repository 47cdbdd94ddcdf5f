"""Tests of `tunesmith.models.copies`; test_fit.py counts the calls of a whole run."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tunesmith.models.build import find_family
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.schedule import warmup_decay
from tunesmith.training.slice import Checkpoint, train_slice, untrained

NETWORKS = """
from typing import Annotated
from torch import Tensor, nn
from tunesmith import Int

CALLS = []

def build(classes: int, channels: int, *, width: Annotated[int, Int(1, 9)] = 4) -> nn.Module:
    CALLS.append(width)
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU(),
                         nn.Flatten(), nn.LazyLinear(classes))

def patched(classes: int, channels: int) -> nn.Module:
    network = build(classes, channels)
    forward = network.forward
    network.forward = lambda x: forward(x / 2)  # a copy would go on to use these very weights
    return network

class Derived(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.half = network[0].weight / 2  # torch copies no results

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

def derived(classes: int, channels: int) -> nn.Module:
    return Derived(build(classes, channels))
"""
Maker = Callable[..., tuple[Callable[[], nn.Module], list[int]]]


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Return a maker of a network's builder, and the list of the factory's calls."""
    (tmp_path / "networks.py").write_text(NETWORKS)

    def made(function: str = "build", **params: int) -> tuple[Callable[[], nn.Module], list[int]]:
        family = find_family(f"{tmp_path}/networks.py:{function}")
        calls = vars(sys.modules[family.factory.__module__])["CALLS"]
        return family.builder(2, 1, size=(8, 8), params=params), calls

    return made


def equal(a: nn.Module | Checkpoint, b: nn.Module | Checkpoint) -> None:
    states = [x.state_dict() if isinstance(x, nn.Module) else vars(x) for x in (a, b)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_at_equal_random_states_a_factory_is_called_once(maker: Maker) -> None:
    build, calls = maker()
    first, again = untrained(build, 1), untrained(build, 1)
    assert len(calls) == 1
    equal(first, again)
    for p in first.parameters():
        p.data.zero_()
    with pytest.raises(AssertionError):
        equal(first, again)
    equal(again, untrained(build, 1))
    assert untrained(build, 1).training
    assert len(calls) == 1


def test_another_seed_or_parameter_gives_another_network(maker: Maker) -> None:
    build, calls = maker()
    with pytest.raises(AssertionError):
        equal(untrained(build, 1), untrained(build, 2))
    wide, _ = maker(width=5)
    weight = untrained(wide, 2).get_parameter("0.weight")
    assert len(weight) == 5
    assert calls == [4, 4, 5]


def test_the_random_state_goes_on_as_after_a_call(maker: Maker) -> None:
    build, calls = maker()

    def drawn(make: Callable[[], nn.Module]) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            make()
            return torch.rand(4)

    first, again = drawn(build), drawn(build)
    assert len(calls) == 1
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    build_anew = maker()[0]
    torch.testing.assert_close(first, drawn(build_anew), rtol=0, atol=0)


@pytest.mark.parametrize("function", ["patched", "derived"])
def test_a_network_that_cannot_be_copied_is_built_anew(maker: Maker, function: str) -> None:
    build, calls = maker(function)
    first, again = untrained(build, 1), untrained(build, 1)
    assert len(calls) == 3  # one of them was tried
    equal(first, again)
    x_NCHW = torch.ones(2, 1, 8, 8)
    before = again.eval()(x_NCHW)
    for p in first.parameters():
        p.data.add_(1.0)
    torch.testing.assert_close(again(x_NCHW), before)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(first.eval()(x_NCHW), before)


def test_slices_of_a_training_call_a_factory_once_and_give_the_same_bits(maker: Maker) -> None:
    build, calls = maker()
    y = torch.arange(32) % 2
    x = (100 * y.view(-1, 1, 1, 1) + torch.arange(64).view(1, 1, 8, 8)).to(torch.uint8)
    data = TrainData(x_NCHW=x, y_N=y, rows=torch.arange(32), normalize=Normalize.of(x))
    config = TrainConfig(optimizer="adamw", lr=0.01, batch=16, early_scale=1.0)

    def trained(build: Callable[[], nn.Module], *ends: int) -> Checkpoint:
        found: Checkpoint | None = None
        for end in ends:
            found = train_slice(
                config, build, data, CrossEntropy(), start=found,
                segments=warmup_decay(96, warmup=0.1), until=end,
            ).checkpoint  # fmt: skip
        assert found is not None
        return found

    whole = trained(build, 96)
    equal(trained(build, 32, 64, 96), whole)
    assert len(calls) == 1
    equal(trained(by_hand, 96), whole)


def by_hand() -> nn.Module:
    """Build the same network without a factory of the user."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )
    network.eval()(torch.zeros(2, 1, 8, 8))
    return network.train()
