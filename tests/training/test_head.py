"""Tests of `tunesmith.training.head`."""

import torch
from torch import nn

from tunesmith.models.ensemble import Ensemble
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features, seen


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
    for channels_last in (True, False):
        found = features(network, "3", data, channels_last=channels_last)
        torch.testing.assert_close(found, expected)
    assert not network[3]._forward_pre_hooks


def test_a_deployed_network_is_seen_into() -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU())
    head = nn.Linear(5, 2)
    network = nn.Sequential(body, head)
    deployed = Deployed(network, Normalize(torch.zeros(3), torch.ones(3)), size=(2, 2))
    x_NHWC = torch.randint(0, 256, (150, 2, 2, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = body(x_NHWC.permute(0, 3, 1, 2).float())
    torch.testing.assert_close(seen(deployed, x_NHWC, 2), expected)
    assert not head._forward_pre_hooks


def test_networks_side_by_side_and_without_a_linear_end() -> None:
    x_NHWC = torch.randint(0, 256, (3, 2, 2, 3), dtype=torch.uint8)
    flat = [nn.Sequential(nn.Flatten(), nn.Linear(12, 2)) for _ in range(2)]
    blank = Normalize(torch.zeros(3), torch.ones(3))
    both = Deployed(Ensemble(flat, 3), blank, size=(2, 2))
    assert seen(both, x_NHWC, 2).shape == (3, 24)
    assert seen(nn.Sequential(nn.Flatten()), x_NHWC, 2).shape == (3, 0)
