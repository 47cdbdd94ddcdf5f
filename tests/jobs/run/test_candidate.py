"""Tests of `jobs.run.candidate`: where training begins, which views answer; jobs show the rest."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.candidate import Candidate, many_views
from tunesmith.jobs.run.stored import read_checkpoint, write_checkpoint
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.models.views import ALONE, CHOICES, ManyViews, offered

SIDE = 12
RANDOM = np.random.default_rng(0)


class LeftHalf(nn.Module):
    """Class 1 by the brightness of the left half: `of` images or of their difference to right."""

    def __init__(self, *, against_right: bool) -> None:
        super().__init__()
        self.against_right = against_right

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Answer ``(N, C, H, W)``."""
        left_N, right_N = (half.mean((1, 2, 3)) for half in x_NCHW.chunk(2, dim=3))
        z_N = left_N - right_N if self.against_right else left_N
        return torch.stack([-z_N, z_N], 1)


def candidate(normalize: Normalize, *, most: int) -> Any:
    """What `Candidate.settle` looks at."""
    train = SimpleNamespace(normalize=normalize)
    return SimpleNamespace(
        views=offered(most=most, mirrored=True), prepared=SimpleNamespace(train=train)
    )


@pytest.mark.parametrize("most", [2, 3, 6])
@pytest.mark.parametrize("against_right", [False, True])
def test_mirrored_views_answer_where_that_is_better(*, against_right: bool, most: int) -> None:
    """Two halves tell more than one, unless the sides are what it is all about."""
    y_N = RANDOM.integers(0, 2, 600)
    light_N2 = y_N[:, None] + RANDOM.normal(0, 1, (600, 2))
    if against_right:
        light_N2[:, 1] = 0
    x = np.clip(100 + 30 * light_N2, 0, 255).astype(np.uint8)
    x_NCHW = torch.from_numpy(x.repeat(SIDE // 2, 1)[:, None, None].repeat(SIDE, 2))
    normalize = Normalize.of(x_NCHW)
    deployed = Deployed(
        ManyViews(LeftHalf(against_right=against_right), ALONE), normalize, size=(SIDE, SIDE)
    )
    z_NK = Candidate.settle(candidate(normalize, most=most), deployed, x_NCHW, y_N)
    many = deployed.network
    assert isinstance(many, ManyViews)
    assert any(view.is_mirrored for view in many.views) != against_right
    again_NK = logits(many, x_NCHW, normalize=normalize)
    np.testing.assert_allclose(z_NK, again_NK, atol=1e-5)


def test_no_more_views_answer_than_there_is_time_for() -> None:
    y_N = RANDOM.integers(0, 2, 100)
    x_NCHW = torch.from_numpy(RANDOM.integers(0, 256, (100, 1, SIDE, SIDE)).astype(np.uint8))
    normalize = Normalize.of(x_NCHW)
    network = LeftHalf(against_right=False)
    deployed = Deployed(ManyViews(network, ALONE), normalize, size=(SIDE, SIDE))
    z_NK = Candidate.settle(candidate(normalize, most=1), deployed, x_NCHW, y_N)
    np.testing.assert_allclose(z_NK, logits(network, x_NCHW, normalize=normalize))


def test_where_layers_share_weights_a_start_is_stored_all_the_same(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))
    network[2].weight = network[0].weight
    network.append(network[1])
    head = SimpleNamespace(weight_KD=np.ones((2, 4), np.float32), bias_K=np.ones(2, np.float32))
    anything: Any = None
    pretrained: Any = SimpleNamespace(
        family=SimpleNamespace(pretrained=SimpleNamespace(classifier="3")),
        heads=SimpleNamespace(of=lambda _: head),
        untrained=lambda _: network,
    )
    begun = Candidate.begin(pretrained, anything)
    write_checkpoint(tmp_path / "start", begun)
    again = read_checkpoint(tmp_path / "start")
    for part in (again.network, again.average):
        torch.testing.assert_close(dict(part), network.state_dict(), rtol=0, atol=0)


def test_on_a_device_all_of_it_is_there() -> None:
    """The meta device refuses operations with tensors from elsewhere."""
    normalize = Normalize.of(torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)).to("meta")
    many = many_views(LeftHalf(against_right=False), CHOICES[-1], normalize)
    assert many(torch.zeros(2, 1, SIDE, SIDE, device="meta")).device.type == "meta"
