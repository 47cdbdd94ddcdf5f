"""Tests of `tunesmith.training.epoch`."""

import torch

from tunesmith.data.strengths import Augmentation
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData, batches


def make() -> TrainData:
    x = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8)
    rows = torch.arange(10, 30)
    return TrainData(x_NCHW=x, y_N=torch.arange(30), rows=rows, normalize=Normalize.of(x))


def test_batches_depend_on_the_position_alone() -> None:
    data = make()
    config = TrainConfig(batch=8, augmentation=Augmentation(shift=0.1, rotate=10, cutout=0.2))
    whole = list(batches(data, config, 0, 48))
    parts = [*batches(data, config, 0, 16), *batches(data, config, 16, 48)]
    assert [position for position, _, _ in whole] == list(range(0, 48, 8))
    for (_, x, y), (_, x_again, y_again) in zip(whole, parts, strict=True):
        assert torch.equal(x, x_again)
        assert torch.equal(y, y_again)


def test_only_training_images_are_shown() -> None:
    data = make()
    shown = torch.cat([y for _, _, y in batches(data, TrainConfig(batch=8), 0, 20)])
    assert sorted(shown.tolist()) == list(range(10, 30))


def test_images_are_what_normalization_makes_of_them() -> None:
    data = make()
    (_, x, y), *_ = batches(data, TrainConfig(batch=8), 0, 8)
    torch.testing.assert_close(x, data.normalize(data.x_NCHW[y]))
    assert x.is_contiguous(memory_format=torch.channels_last)
