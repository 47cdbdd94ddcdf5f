"""Tests of `tunesmith.jobs.run.heads`."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.evaluation.ridge import fit_ridge
from tunesmith.jobs.run import heads
from tunesmith.jobs.run.heads import Heads
from tunesmith.models.preprocess import Normalize
from tunesmith.training.epoch import TrainData

IMAGES, FOLDS, PIXELS = 60, 3, 16


class Network(nn.Module):
    """Its features are the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(PIXELS, 2)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        z_NK: torch.Tensor = self.head(x_NCHW.flatten(1))
        return z_NK


def made(train_s: float = 200.0, copies: int = 1) -> tuple[Heads, NDArray[np.int64]]:
    """Heads for images of two classes, one of them brighter on the left; and the images' folds.

    If there are several copies of each image, labels are random instead.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(2 * IMAGES) % 2
    pixels = rng.integers(0, 150, (len(labels), 1, 4, 4)).astype(np.uint8)
    pixels[labels == 1, :, :, :2] += 60
    groups = np.arange(len(labels)) // (2 * copies)  # every second image is no training image
    if copies > 1:
        pixels, labels = pixels[groups], (rng.permutation(len(labels)) % 2)[groups]
    images, rows = torch.from_numpy(pixels), torch.arange(0, 2 * IMAGES, 2)
    rows = rows + (rows // 2) % 2
    train = TrainData(
        x_NCHW=images, y_N=torch.from_numpy(labels), rows=rows, normalize=Normalize.of(images)
    )
    folds = np.arange(IMAGES) % FOLDS

    def without_fold(fold: int) -> tuple[TrainData, NDArray[np.int64]]:
        held = folds == fold
        return replace(train, rows=rows[torch.from_numpy(~held)]), rows.numpy()[held]

    prepared: Any = SimpleNamespace(
        train=train,
        split=SimpleNamespace(folds=folds, groups=groups),
        source=SimpleNamespace(classes=("a", "b")),
        without_fold=without_fold,
        folds=FOLDS,
    )
    chosen: Any = SimpleNamespace(
        train_s=train_s,
        device_answers_per_s=1.0,
        train=SimpleNamespace(balance=0.0, channels_last=True),
    )
    network = Network()
    return (
        Heads(
            prepared=prepared, chosen=chosen, build=lambda: network, classifier="head", bias=True
        ),
        folds,
    )


def test_a_fold_is_answered_by_a_head_that_never_saw_it() -> None:
    found, folds = made()
    train = found.prepared.train
    rows = train.rows.numpy()
    f_ND = train.normalize(train.x_NCHW).flatten(1).numpy()
    y_N = train.y_N.numpy()
    for fold in range(FOLDS):
        z_NK, places = found.without(fold)
        assert sorted(places) == sorted(rows[folds == fold])
        kept = rows[folds != fold]
        ridge = fit_ridge(f_ND[kept], y_N[kept], 2, alike=True)
        wanted = f_ND[places] @ ridge.weight_KD.T + ridge.bias_K
        np.testing.assert_allclose(z_NK, wanted, rtol=1e-3, atol=1e-3)
        assert (z_NK.argmax(1) == y_N[places]).mean() > 0.7


@pytest.mark.parametrize(("fits", "count"), [(9, FOLDS), (2, 2), (0, 1)])
def test_as_many_folds_get_a_head_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, fits: int, count: int
) -> None:
    found, _ = made(200.0)
    monkeypatch.setattr(heads, "FIT_S", heads.FIT_SHARE * 200 / (fits + 0.5) / PIXELS**3)
    assert found.folds(1) == count


def test_the_score_is_of_images_left_out() -> None:
    found, _ = made()
    ridge = found.of(found.prepared.train)
    assert found.of(found.prepared.train) is ridge
    assert len(ridge.z_NK) == IMAGES
    assert 0.7 < found.score("accuracy") <= 1


def test_copies_of_an_image_are_left_out_with_it() -> None:
    found, _ = made(copies=5)
    assert found.score("accuracy") < 0.7


def test_as_many_features_are_extracted_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunesmith.plan.heads.FEWEST", 10)
    for train_s, count in ((1.0, 8), (16.0, 8), (20.0, 10), (40.0, 20), (1000.0, IMAGES)):
        found, _ = made(train_s)
        assert len(found.of(found.prepared.train).z_NK) == count


def test_no_class_is_too_rare_for_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.plan.heads.FEWEST", 10)
    found, _ = made(20.0)
    train = found.prepared.train
    y_N = torch.zeros_like(train.y_N)
    y_N[train.rows[::15]] = 1
    found.prepared.train = replace(train, y_N=y_N)  # type: ignore[misc]
    rows, _ = found._features
    assert torch.bincount(y_N[rows]).tolist() == [6, 4]


@pytest.mark.parametrize(("images", "count"), [(PIXELS - 1, PIXELS - 1), (PIXELS + 1, IMAGES)])
def test_a_fit_that_takes_long_is_one_to_fewer_images(
    monkeypatch: pytest.MonkeyPatch, images: int, count: int
) -> None:
    """More images than features take hardly longer."""
    monkeypatch.setattr("tunesmith.plan.heads.FEWEST", 10)
    monkeypatch.setattr(heads, "FIT_S", heads.FIT_SHARE * 200 / (images + 0.5) ** 3)
    found, _ = made(200.0)
    assert len(found.of(found.prepared.train).z_NK) == count
