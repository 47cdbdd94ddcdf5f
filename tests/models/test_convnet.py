"""Tests of `tunesmith.models.convnet`."""

import pytest
import torch

from tunesmith.models.convnet import convnet


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


def test_large_images_are_brought_down_early() -> None:
    stem = convnet(2, 3, size=(256, 256), width=8).stem
    assert stem(torch.zeros(1, 3, 256, 256)).shape[-1] <= 64
