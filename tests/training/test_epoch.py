"""Tests of `tunesmith.training.epoch`."""

import torch

from tunesmith.data.augmentation import Augmentation
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData, batches, scale_at
from tunesmith.training.schedule import extend, warmup_decay


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


def test_images_are_small_while_the_steps_are_large() -> None:
    config, plan = TrainConfig(early_scale=0.75), warmup_decay(1000, warmup=0.2)
    assert [scale_at(config, plan, seen) for seen in (0, 300, 599, 601, 1000)] == [
        *(0.75, 0.75, 0.75),
        *(1.0, 1.0),
    ]
    longer = extend(plan, seen=1000, end=2000, peak=0.5)
    assert scale_at(config, longer, 1000) == 1.0
    assert scale_at(TrainConfig(), plan, 0) == 1.0
