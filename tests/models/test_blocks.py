"""Tests of `tunesmith.models.blocks`."""

import pytest
import torch
from torch import nn

from tunesmith.models.blocks import (
    GLOBAL_POOLINGS,
    FixedGainNorm,
    Head,
    Residual,
    Whitening,
    conv3x3,
)


@pytest.mark.parametrize(("channels", "kernel", "directions"), [(1, 3, 9), (3, 2, 12), (4, 4, 16)])
def test_whitened_patches_are_uncorrelated(channels: int, kernel: int, directions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(64, channels, 20, 20, generator=generator)
    x = nn.functional.avg_pool2d(noise, 3, 1, 1) * 3  # neighbors are alike, as in photographs
    layer = Whitening(channels, kernel_size=kernel, directions=directions)
    layer.fit(x, epsilon=1e-6)
    inner = torch.nn.functional.conv2d(x, layer.weight[:directions]).transpose(0, 1).flatten(1)
    covariance = inner @ inner.T / inner.shape[1]
    torch.testing.assert_close(covariance, torch.eye(directions), atol=0.12, rtol=0)
    torch.testing.assert_close(layer.weight[:directions], -layer.weight[directions:])


def test_whitening_is_not_trained() -> None:
    assert not list(Whitening(3, kernel_size=2, directions=4).parameters())
    with pytest.raises(ValueError, match=r"from 1 to .* = 12, but got directions=13"):
        Whitening(3, kernel_size=2, directions=13)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("side", [32, 33])
def test_whitening_divides_the_resolution(stride: int, side: int) -> None:
    layer = Whitening(3, kernel_size=2 * stride, directions=8, stride=stride)
    x = layer(torch.zeros(1, 3, side, side))
    assert abs(x.shape[2] - side / stride) <= 1
    assert x.shape[1] == layer.channels_out == 16


@pytest.mark.parametrize(("before", "after"), [(4, 8), (8, 8), (8, 4)])
def test_a_convolution_starts_as_the_identity(before: int, after: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, before, 6, 6)
    kept = min(before, after)
    torch.testing.assert_close(conv3x3(before, after)(x)[:, :kept], x[:, :kept])
    halved = conv3x3(before, after, stride=2)(x)
    torch.testing.assert_close(halved[:, :kept], x[:, :kept, ::2, ::2])


def test_fixed_gain_norm_is_batch_normalization_without_gain() -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 5, 4, 4) * 3 + 1
    ours, theirs = FixedGainNorm(5), nn.BatchNorm2d(5)
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_shortcut_is_added_to_what_the_layers_make() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    layers = nn.Conv2d(3, 3, 1), nn.ReLU()
    alone = Residual(*layers, shortcut=None)(x)
    torch.testing.assert_close(alone, layers[1](layers[0](x)))
    torch.testing.assert_close(Residual(*layers, shortcut=nn.Identity())(x), x + alone)
    torch.testing.assert_close(Residual(*layers, shortcut=nn.Dropout(1.0))(x), alone)


def test_a_head_sees_the_strongest_place() -> None:
    torch.manual_seed(0)
    head = Head(2, 3)
    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 1, 2] = 9.0
    expected = head.linear.weight[:, 0] * 9 * head.scale
    torch.testing.assert_close(head(x)[0], expected)


@pytest.mark.parametrize("pooling", list(GLOBAL_POOLINGS))
def test_a_head_does_not_see_where_something_is(pooling: str) -> None:
    torch.manual_seed(0)
    head = Head(3, 5, pooling=pooling)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(head(x), head(x.flip(-1)))


def test_a_head_may_read_the_average_or_both() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    average, both = Head(3, 5, pooling="average"), Head(3, 5, pooling="both")
    expected = x.mean((2, 3)) @ average.linear.weight.T * average.scale
    torch.testing.assert_close(average(x), expected)
    f_ND = torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1)
    torch.testing.assert_close(both(x), f_ND @ both.linear.weight.T * both.scale)
