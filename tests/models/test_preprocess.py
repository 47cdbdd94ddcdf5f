"""Tests of `tunesmith.models.preprocess`."""

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Deployed, Normalize, resize, resize_pixels


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, 3, 20, 24), dtype=torch.uint8, generator=generator)


def test_an_image_of_the_right_size_is_not_changed(images: torch.Tensor) -> None:
    torch.testing.assert_close(resize(images.float(), (20, 24)), images.float())
    pixels = images[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(resize_pixels(pixels, (20, 24)), pixels)


def test_stored_pixels_are_rounded_and_nothing_else(images: torch.Tensor) -> None:
    exact = resize(images.float(), (9, 31))[0].permute(1, 2, 0).numpy()
    stored = resize_pixels(images[0].permute(1, 2, 0).numpy(), (9, 31))
    assert np.abs(stored - exact).max() <= 1.0 + 0.1  # rounded twice, with weights of 16 bits
    assert np.abs((stored - exact).mean()) < 0.1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_photographs_are_reduced_alike(channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (900, 700, channels), dtype=torch.uint8, generator=generator)
    exact = resize(x.permute(2, 0, 1)[None].float(), (64, 48))[0].permute(1, 2, 0).numpy()
    assert np.abs(resize_pixels(x.numpy(), (64, 48)) - exact).max() <= 1.0 + 0.1


def test_normalized_images_have_mean_0_and_deviation_1(images: torch.Tensor) -> None:
    x = Normalize.of(images)(images)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_a_constant_channel_divides_nothing_by_zero() -> None:
    x = torch.full((2, 1, 8, 8), 7, dtype=torch.uint8)
    assert torch.isfinite(Normalize.of(x)(x)).all()


def test_what_is_deployed_is_the_whole_chain(images: torch.Tensor) -> None:
    network: nn.Module = convnet(4, 3, size=(16, 16), width=8).eval()
    deployed = Deployed(network, Normalize.of(images), size=(16, 16)).eval()
    deployed.temperature.fill_(2.0)
    with torch.no_grad():
        p_NK = deployed(images.permute(0, 2, 3, 1))
        x = deployed.normalize(resize(images.float(), (16, 16)))
    torch.testing.assert_close(p_NK, torch.softmax(network(x) / 2, 1))
    torch.testing.assert_close(p_NK.sum(1), torch.ones(6))
