"""Tests of `tunesmith.training.averaging`."""

import torch
from torch import nn

from tunesmith.training.averaging import update


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
