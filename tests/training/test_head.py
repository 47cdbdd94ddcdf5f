"""Tests of `tunesmith.training.head`."""

import torch
from torch import nn

from tunesmith.models.preprocess import Normalize
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features


def test_features_are_what_the_last_layer_reads() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    x_NCHW = torch.randint(0, 256, (150, 3, 2, 2), dtype=torch.uint8)
    normalize = Normalize.of(x_NCHW)
    data = TrainData(
        x_NCHW=x_NCHW,
        y_N=torch.zeros(150).long(),
        rows=torch.arange(149, 9, -1),
        normalize=normalize,
    )
    with torch.no_grad():
        expected = network[:3](normalize(x_NCHW[data.rows]))
    torch.testing.assert_close(features(network, "3", data), expected)
    assert not network[3]._forward_pre_hooks
