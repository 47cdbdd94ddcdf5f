"""Tests of `tunesmith.models.layout`."""

import pytest
import torch
from torch import nn

from tunesmith.models.layout import arrange, arranged


@pytest.mark.parametrize("channels", [1, 3])
def test_layers_compute_in_the_layout_of_network_and_images(channels: int) -> None:
    x_NHWC = torch.zeros(2, 6, 6, channels)
    for x_NCHW in (x_NHWC.permute(0, 3, 1, 2), torch.zeros(2, channels, 6, 6)):
        for last in (True, False):
            network = arrange(nn.Conv2d(channels, 5, 3), channels_last=last)
            answer = network(arranged(x_NCHW, channels_last=last))
            assert answer.is_contiguous() is not last


def test_tensors_of_more_dimensions_than_images_keep_their_layout() -> None:
    flat, deep = nn.Conv2d(3, 4, 3), nn.Conv3d(2, 4, 3)
    network = nn.Sequential(flat, deep)
    network.register_buffer("offset", torch.zeros(1, 1, 1, 1, 1))
    arrange(network, channels_last=True)
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert deep.weight.is_contiguous()
