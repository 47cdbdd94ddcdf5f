"""Tests of `tunesmith.training.averaging`."""

import torch
from torch import nn

from tunesmith.training.averaging import reestimate, update


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


def test_reestimated_statistics_are_those_of_the_batches() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    batches = [torch.randn(16, 1, 8, 8) + shift for shift in (0.0, 2.0)]
    reestimate(network, batches)
    means = torch.stack([network[0](x).mean((0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(network[1].running_mean, means, atol=1e-5, rtol=1e-5)
    assert network[1].momentum == 0.1
    assert not network.training
