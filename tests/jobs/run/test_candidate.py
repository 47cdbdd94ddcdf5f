"""Tests of `jobs.run.candidate`: where training begins, which views answer; jobs show the rest."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.candidate import Candidate, many_views
from tunesmith.jobs.run.stored import read_checkpoint, write_checkpoint
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.models.pretrained import pretrained_of
from tunesmith.models.views import ALONE, CHOICES, ManyViews, offered
from tunesmith.training.epoch import TrainData

SIDE = 12


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
    chosen = SimpleNamespace(train=SimpleNamespace(channels_last=True))
    return SimpleNamespace(
        views=offered(most=most, mirrored=True),
        prepared=SimpleNamespace(train=train),
        chosen=chosen,
    )


@pytest.mark.parametrize("most", [2, 3, 6])
@pytest.mark.parametrize("against_right", [False, True])
def test_mirrored_views_answer_where_that_is_better(*, against_right: bool, most: int) -> None:
    """Two halves tell more than one, unless the sides are what it is all about."""
    rng = np.random.default_rng(0)
    y_N = rng.integers(0, 2, 600)
    light_N2 = y_N[:, None] + rng.normal(0, 1, (600, 2))
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
    again_NK = logits(many, x_NCHW, normalize=normalize, channels_last=True)
    np.testing.assert_allclose(z_NK, again_NK, atol=1e-5)


def two_bright(count: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Bright images, those of class 1 brighter on the left."""
    y_N = np.arange(count) % 2
    generator = np.random.default_rng(1)  # its own: whatever tests ran before, the images are these
    x_NCHW = generator.integers(120, 200, (count, 1, 4, 4)).astype(np.uint8)
    x_NCHW[y_N == 1, :, :, :2] += 50
    return torch.from_numpy(x_NCHW), y_N


@pytest.mark.parametrize("bias", [True, False])
def test_training_begins_with_the_very_layer_that_is_judged(
    monkeypatch: pytest.MonkeyPatch, *, bias: bool
) -> None:
    """Also where it has no biases: what is fitted then has none either."""
    x_NCHW, y_N = two_bright(60)

    def build() -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=bias))
        # Features are far from 0, so that biases would matter.
        network.pretrained_cfg = {"mean": [0.0], "std": [0.25], "classifier": "1"}  # type: ignore[assignment]
        return network

    monkeypatch.setattr("tunesmith.jobs.run.candidate.builder", lambda *_, **__: build)
    pretrained = pretrained_of(build(), 1)
    assert pretrained is not None
    data = TrainData(
        x_NCHW=x_NCHW,
        y_N=torch.from_numpy(y_N),
        rows=torch.arange(60),
        normalize=pretrained.normalize(),
    )
    rest, held = replace(data, rows=torch.arange(40)), np.arange(40, 60)
    prepared: Any = SimpleNamespace(
        train=data,
        split=SimpleNamespace(folds=np.arange(60) // 40, groups=np.arange(60)),
        source=SimpleNamespace(classes=("a", "b")),
        without_fold=lambda _: (rest, held),
    )
    train = SimpleNamespace(balance=0.0, seed=0, channels_last=True)
    chosen: Any = SimpleNamespace(train_s=100.0, device_answers_per_s=100.0, train=train, params={})
    family: Any = SimpleNamespace(pretrained=pretrained)
    begun = Candidate(prepared=prepared, family=family, chosen=chosen)
    network = build()
    network.load_state_dict(begun.begin(rest).average)
    z_NK, places_N = begun.heads.without(0)
    found_NK = logits(network, x_NCHW[places_N], normalize=data.normalize, channels_last=True)
    np.testing.assert_allclose(found_NK, z_NK, rtol=1e-3, atol=1e-3)
    assert accuracy(z_NK, y_N[places_N]) > 0.9


class Flat(nn.Module):
    """A network that computes contiguous images alone."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 4, 1), nn.Linear(64, 2)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Answer ``(N, 3, 4, 4)``."""
        z_NK: Tensor = self.head(self.convolution(x_NCHW).view(len(x_NCHW), -1))
        return z_NK


def test_answers_are_computed_in_the_layout_of_training() -> None:
    rng = np.random.default_rng(0)
    x_NHWC = torch.from_numpy(rng.integers(0, 256, (10, 4, 4, 3)).astype(np.uint8))
    x_NCHW, y_N, network = x_NHWC.permute(0, 3, 1, 2), np.arange(10) % 2, Flat()
    normalize = Normalize.of(x_NCHW)
    train = SimpleNamespace(channels_last=False)
    any_one: Any = SimpleNamespace(
        prepared=SimpleNamespace(train=SimpleNamespace(normalize=normalize)),
        chosen=SimpleNamespace(train=train),
        load=lambda _: network,
        views=offered(most=6, mirrored=True),
    )
    assert 0 <= Candidate.validate(any_one, x_NCHW, y_N)({})["accuracy"] <= 1
    deployed = Deployed(ManyViews(network, ALONE), normalize, size=(4, 4))
    z_NK = Candidate.settle(any_one, deployed, x_NCHW, y_N)
    np.testing.assert_allclose(Candidate.logits(any_one, deployed, x_NCHW), z_NK, atol=1e-5)
    assert deployed(x_NHWC).shape == (10, 2)
    train.channels_last = True
    with pytest.raises(RuntimeError, match="view"):
        Candidate.logits(any_one, deployed, x_NCHW)


def test_no_more_views_answer_than_there_is_time_for() -> None:
    rng = np.random.default_rng(0)
    y_N = rng.integers(0, 2, 100)
    x_NCHW = torch.from_numpy(rng.integers(0, 256, (100, 1, SIDE, SIDE)).astype(np.uint8))
    normalize = Normalize.of(x_NCHW)
    network = LeftHalf(against_right=False)
    deployed = Deployed(ManyViews(network, ALONE), normalize, size=(SIDE, SIDE))
    z_NK = Candidate.settle(candidate(normalize, most=1), deployed, x_NCHW, y_N)
    found_NK = logits(network, x_NCHW, normalize=normalize, channels_last=True)
    np.testing.assert_allclose(z_NK, found_NK)


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
