"""Tests of `tunesmith.models.groups`."""

import pytest
import torch
from torch import nn

from tunesmith.models.blocks import ACTIVATIONS
from tunesmith.models.groups import POOLINGS, ConvGroup, group, residual_block

BLOCKS = ["plain", "residual"]


def make(
    block: str, *, depth: int = 2, pooling: str = "max", activation: str = "gelu"
) -> nn.Module:
    torch.manual_seed(0)
    return group(3, 8, block=block, depth=depth, pooling=pooling, activation=activation)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("block", BLOCKS)
def test_every_parameter_of_a_group_is_trained(depth: int, activation: str, block: str) -> None:
    made = make(block, depth=depth, activation=activation)
    # Any weighing of the places and channels: the sum of what is normalized is always the same.
    weights = torch.randn(4, 8, 4, 4, generator=torch.Generator().manual_seed(1))
    (made(torch.randn(4, 3, 9, 8)) * weights).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


@pytest.mark.parametrize("pooling", [*POOLINGS, "stride"])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("side", "up"), [(8, 4), (9, 5), (2, 1), (1, 1)])
def test_the_resolution_is_halved(pooling: str, block: str, side: int, up: int) -> None:
    down = up if pooling == "stride" else side // 2
    if down:
        made = make(block, pooling=pooling).eval()
        assert made(torch.zeros(2, 3, 8, side)).shape == (2, 8, 4, down)


def test_the_strongest_of_four_places_counts_or_their_average_or_one_of_them() -> None:
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = {pooling: make("plain", depth=1, pooling=pooling)(x) for pooling in POOLINGS}
    torch.manual_seed(0)
    conv, norm = ConvGroup(3, 8, depth=1).convs[0], nn.BatchNorm2d(8)
    for pooling, pool in POOLINGS.items():
        expected = nn.functional.gelu(norm(pool(2)(conv(x))))
        torch.testing.assert_close(found[pooling], expected)
    strided = nn.functional.gelu(norm(conv(x)[:, :, ::2, ::2]))
    torch.testing.assert_close(make("plain", depth=1, pooling="stride")(x), strided)


def test_blocks_are_as_deep_and_as_wide_as_asked() -> None:
    def convolutions(made: nn.Module) -> list[tuple[int, ...]]:
        return [tuple(m.weight.shape) for m in made.modules() if isinstance(m, nn.Conv2d)]

    assert isinstance(make("plain"), ConvGroup)
    assert len(convolutions(make("plain", depth=3))) == 3
    assert len(convolutions(make("residual", depth=3))) == 7  # and one in the first shortcut


def test_a_block_that_changes_nothing_passes_its_input_on() -> None:
    made = residual_block(8, 8)
    last = [m for m in made.modules() if isinstance(m, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    x = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made(x), x)
