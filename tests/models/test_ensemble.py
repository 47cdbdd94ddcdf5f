"""Tests of `tunesmith.models.ensemble`."""

import torch
from torch import Tensor, nn

from tunesmith.models.build import ENSEMBLE, rebuild
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Normalize
from tunesmith.models.views import ALONE, CHOICES, ManyViews


class Sum(nn.Module):
    """Logits that show what the network was given."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean((2, 3))


def test_each_network_gets_the_input_it_was_trained_on() -> None:
    bytes_NCHW = torch.randint(0, 256, (4, 3, 5, 5)).float()
    given, other = Normalize(torch.rand(3) * 100, torch.rand(3) + 50), Normalize.of(bytes_NCHW)
    network = Ensemble([Sum(), Sum()], 3)
    network.read_as(given, [given, other])
    network.weight.copy_(torch.tensor([0.75, 0.5]))
    expected = 0.75 * Sum()(given(bytes_NCHW)) + 0.5 * Sum()(other(bytes_NCHW))
    torch.testing.assert_close(network(given(bytes_NCHW)), expected, atol=1e-5, rtol=1e-4)


def test_it_is_rebuilt_from_what_a_manifest_says() -> None:
    members = [
        {"family": "convnet", "config": {"width": 8}, "views": ["as is"]},
        {"family": "convnet", "config": {"width": 12, "depth": 1}, "views": ["as is", "moved"]},
    ]
    config = {"members": members}
    first, second = (
        rebuild(ENSEMBLE, 4, 1, size=(12, 12), config=config, views=()).eval() for _ in range(2)
    )
    assert [m.views for m in first.modules() if isinstance(m, ManyViews)] == [ALONE, CHOICES[2]]
    x = torch.randn(3, 1, 12, 12)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
