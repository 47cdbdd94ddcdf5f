"""Tests of `tunesmith.training.averaging`."""

import torch
from torch import Tensor, nn

from tunesmith.training.averaging import infinite_in, update


def test_the_average_is_the_recursion_it_should_be() -> None:
    network = nn.BatchNorm2d(3)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.weight.fill_(3.0)
    assert network.num_batches_tracked is not None
    network.num_batches_tracked.fill_(7)
    update(average, network, decay=0.75)
    torch.testing.assert_close(average["weight"], torch.full((3,), 1.5))
    assert average["num_batches_tracked"] == 7


def test_what_is_infinite_is_taken_over_and_the_rest_is_averaged() -> None:
    class Masked(nn.Module):
        mask: Tensor
        most: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
            self.register_buffer("most", torch.full((2,), -torch.inf))
            self.fixed = nn.Parameter(torch.tensor([torch.inf, 1.0]), requires_grad=False)

    network = Masked()
    average = {name: value.clone() for name, value in network.state_dict().items()}
    infinite = infinite_in(average)
    assert infinite == {"mask", "most", "fixed"}
    network.most[0] = 5.0
    assert network.norm.running_mean is not None
    network.norm.running_mean.fill_(8.0)
    for decay in (0.1, 0.75):
        update(average, network, decay=decay, infinite=infinite)
    expected = {**network.state_dict(), "norm.running_mean": torch.full((3,), 7.4)}
    torch.testing.assert_close(average, expected)
