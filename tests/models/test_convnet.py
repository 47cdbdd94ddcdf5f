"""Tests of `tunesmith.models.convnet`."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.augment import shrunk
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import resize


@pytest.mark.parametrize(
    "size", [(8, 8), (9, 14), (28, 28), (32, 32), (64, 48), (96, 96), (256, 200)]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_size_and_color(size: tuple[int, int], channels: int) -> None:
    network = convnet(7, channels, size=size, width=8)
    x = torch.randn(2, channels, *size)
    network.fit_input(x)
    assert network(x).shape == (2, 7)
    assert torch.isfinite(network(x)).all()


@pytest.mark.parametrize("classes", [2, 1000])
def test_few_and_many_classes(classes: int) -> None:
    assert (
        convnet(classes, 3, size=(32, 32), width=8)(torch.zeros(1, 3, 32, 32)).shape[1] == classes
    )


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 8, but got size=\(7, 20\)"):
        convnet(2, 1, size=(7, 20))


@pytest.mark.parametrize("block", ["plain", "residual"])
@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
@pytest.mark.parametrize("multiplier", [1.0, 0.75, 0.5])
@pytest.mark.parametrize(
    ("channels", "size"), [(1, (8, 8)), (3, (9, 14)), (4, (32, 32)), (1, (96, 80)), (3, (256, 200))]
)
def test_every_structure_takes_every_size(
    block: str, pooling: str, multiplier: float, channels: int, size: tuple[int, int]
) -> None:
    network = convnet(
        5, channels, size=size, width=8, block=block, pooling=pooling, head="both", depth=1,
        resolution_multiplier=multiplier,
    )  # fmt: skip
    x = torch.randn(2, channels, *size)
    network.fit_input(x)
    assert network(x).shape == (2, 5)
    assert torch.isfinite(network(x)).all()


def test_structures_differ_in_what_their_names_say() -> None:
    def numbers(**params: Any) -> int:
        network = convnet(10, 3, size=(32, 32), width=16, **params)
        return sum(p.numel() for p in network.parameters())

    assert numbers(depth=1) < numbers() < numbers(depth=3)
    assert numbers() < numbers(block="residual") < numbers(block="residual", depth=3)
    assert numbers(pooling="stride") == numbers(head="average") == numbers()
    assert numbers(head="both") == numbers() + 4 * 16 * 10


@pytest.mark.parametrize(
    ("size", "multiplier", "inside"),
    [
        ((32, 24), 1.0, (32, 24)),
        ((32, 24), 0.5, (16, 12)),
        ((28, 12), 0.5, (14, 8)),
        ((8, 8), 0.5, (8, 8)),
    ],
)
def test_images_are_looked_at_in_a_lower_resolution(
    size: tuple[int, int], multiplier: float, inside: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    network = convnet(2, 3, size=size, width=8, resolution_multiplier=multiplier).eval()
    torch.manual_seed(0)
    torch.randn(2, 3, *size)
    same = convnet(2, 3, size=inside, width=8).eval()
    torch.testing.assert_close(network(x), same(resize(x, inside)))
    network.fit_input(x)
    same.fit_input(resize(x, inside))
    torch.testing.assert_close(network.stem.weight, same.stem.weight)


@pytest.mark.parametrize("multiplier", [0.75, 0.5])
@pytest.mark.parametrize(
    ("size", "scale"),
    [(32, 0.3), (40, 0.25), (56, 0.28), (64, 0.25), (96, 0.33), (128, 0.3), (256, 0.25)],
)
def test_images_that_are_small_early_are_taken_at_every_resolution(
    size: int, scale: float, multiplier: float
) -> None:
    """A search tries each of them with the size that the user has set for all trials."""
    with torch.device("meta"):  # shapes alone, nothing is computed
        x = torch.empty(2, 3, *shrunk((size, size), scale))
        for value in (1.0, multiplier):
            network = convnet(
                2, 3, size=(size, size), width=8, depth=1, resolution_multiplier=value
            )
            assert network.eval()(x).shape == (2, 2)


@given(side=st.integers(8, 256), channels=st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_a_whole_image_is_never_too_small_for_the_groups(side: int, channels: int) -> None:
    with torch.device("meta"):
        network = convnet(2, channels, size=(side, side), width=8, depth=1)
    assert network.smallest <= side


def test_large_images_are_brought_down_early() -> None:
    stem = convnet(2, 3, size=(256, 256), width=8).stem
    assert stem(torch.zeros(1, 3, 256, 256)).shape[-1] <= 64
