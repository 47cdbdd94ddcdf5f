"""Tests of `tunesmith.models.efficientnet_lite`."""

from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from tunesmith.core.errors import MissingExtraError, ModelError
from tunesmith.models import efficientnet_lite
from tunesmith.models.efficientnet_lite import EfficientNetLite, efficientnet_lite0, weights_file


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """The network of the weights' publisher."""
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights_file(), weights_only=True))
    return network.eval()


def ours(published: nn.Module, side: int, channels: int = 3) -> EfficientNetLite:
    """Our network with the publisher's head."""
    network = efficientnet_lite0(1000, channels, size=(side, side), resolution=side)
    network.head.load_state_dict(published.get_submodule("_fc").state_dict())
    return network.eval()


@pytest.mark.parametrize("side", [64, 96, 224])
@torch.no_grad()
def test_answers_are_the_published_ones(published: nn.Module, side: int) -> None:
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    expected = published(x)
    torch.testing.assert_close(ours(published, side)(x), expected, atol=1e-3, rtol=1e-4)
    assert expected.std() > 0.5


@torch.no_grad()
def test_gray_is_read_as_three_equal_colors(published: nn.Module) -> None:
    x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = published(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(ours(published, 64, 1)(x), expected, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_transparency_counts_for_nothing_at_first(published: nn.Module) -> None:
    x = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = published(x[:, :3])
    torch.testing.assert_close(ours(published, 64, 4)(x), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "inside"), [((32, 32), (96, 96)), ((28, 56), (48, 96)), ((300, 200), (96, 64))]
)
def test_images_are_resized_inside(size: tuple[int, int], inside: tuple[int, int]) -> None:
    network = efficientnet_lite0(7, 3, size=size, resolution=96)
    assert network.resolution == inside
    assert network(torch.zeros(2, 3, *size)).shape == (2, 7)


def test_every_parameter_is_trained() -> None:
    network = efficientnet_lite0(3, 3, size=(32, 32), resolution=64)
    network(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_weights_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "not_installed_anywhere")
    with pytest.raises(MissingExtraError, match=r"not-installed-anywhere.*\[train\]"):
        weights_file()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(b"something else")
    monkeypatch.setattr(efficientnet_lite, "weights_file", lambda: other)
    with pytest.raises(ModelError, match=r"must have the SHA-256 579344248a93.*--force-reinstall"):
        efficientnet_lite._published.__wrapped__()
