"""Tests of `tunesmith.models.views`."""

import pytest
import torch
from torch import Tensor, nn

from tunesmith.models.views import ALONE, CHOICES, ManyViews, View, passes


class Pixels(nn.Module):
    """Answers with the pixels themselves, and counts how often it is asked."""

    asked = 0

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Flatten ``(N, C, H, W)``."""
        self.asked += len(x_NCHW)
        return x_NCHW.flatten(1)


@pytest.fixture
def images() -> Tensor:
    return torch.rand((3, 2, 5, 4), generator=torch.Generator().manual_seed(0))


def look(view: View, x_NCHW: Tensor) -> Tensor:
    seen: Tensor = ManyViews(Pixels(), [view])(x_NCHW)
    return seen


@pytest.mark.parametrize("views", CHOICES)
def test_each_view_weighs_alike(images: Tensor, views: tuple[View, ...]) -> None:
    network = Pixels()
    whole = ManyViews(network, views)(images)
    torch.testing.assert_close(whole, torch.stack([look(view, images) for view in views]).mean(0))
    assert network.asked == passes(views) * len(images)


def test_a_mirror_image_is_answered_as_the_image(images: Tensor) -> None:
    for views in (CHOICES[1], CHOICES[3]):
        network = ManyViews(nn.Sequential(nn.AdaptiveMaxPool2d((2, 1)), nn.Flatten()), views)
        torch.testing.assert_close(network(images), network(images.flip(-1)))


def test_moved_copies_are_a_pixel_away_in_both_directions(images: Tensor) -> None:
    moved = look(View.MOVED, images).reshape(images.shape)
    inner = (images[:, :, :-2, :-2] + images[:, :, 2:, 2:]) / 2
    torch.testing.assert_close(moved[:, :, 1:-1, 1:-1], inner)


def test_far_is_a_share_of_the_side() -> None:
    x_NCHW = torch.zeros(1, 1, 96, 128)
    x_NCHW[0, 0, 40, 50] = 1
    places = look(View.MOVED, x_NCHW).reshape(96, 128).nonzero().tolist()
    assert places == [[37, 47], [43, 53]]


def test_one_view_is_the_network_itself(images: Tensor) -> None:
    torch.testing.assert_close(ManyViews(Pixels(), ALONE)(images), images.flatten(1))
