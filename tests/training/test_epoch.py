"""Tests of `tunesmith.training.epoch`."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tunesmith.data.augmentation import Augmentation
from tunesmith.models.preprocess import Normalize
from tunesmith.training import epoch
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import Compute
from tunesmith.training.epoch import TrainData, batches, rescaled_at, scale_at
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.schedule import rise, warmup_decay
from tunesmith.training.slice import train_slice


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
    longer = rise(plan, seen=1000, top=1100, end=2000, peak=0.5)
    assert scale_at(config, longer, 1000) == 1.0
    assert scale_at(TrainConfig(), plan, 0) == 1.0


def test_where_images_get_another_size() -> None:
    config, plan = TrainConfig(early_scale=0.75), warmup_decay(1000, warmup=0.2)
    for seen in (0, 300, 599):
        until = rescaled_at(config, plan, seen)
        assert [scale_at(config, plan, at) for at in (until - 1, until)] == [0.75, 1.0]
    assert rescaled_at(config, plan, 700) == rescaled_at(TrainConfig(), plan, 0) == 1000


def test_compiled_code_gets_whole_batches_of_one_size_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Recorded(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            shapes.append(tuple(x.shape))
            z: Tensor = self.network(x)
            return z

    shapes: list[tuple[int, ...]] = []
    data, config = make(), TrainConfig(batch=8, early_scale=0.5, optimizer="sgd")
    fast = replace(data, compute=replace(data.compute, compiled=True))
    monkeypatch.setattr(epoch, "compiled", Recorded)

    def build() -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 30))

    eager, compiled = (
        train_slice(config, build, each, CrossEntropy(), start=None, segments=plan, until=60)
        for each in (data, fast)
        for plan in [warmup_decay(80, warmup=0.0)]
    )
    assert shapes == [(8, 1, 4, 4)] * 5  # of eight batches, two are larger, and one is cut short
    assert compiled.checkpoint is not None
    assert eager.checkpoint is not None
    torch.testing.assert_close(vars(compiled.checkpoint), vars(eager.checkpoint), rtol=0, atol=0)


def test_the_next_batch_is_sent_before_the_loss_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a loss is to wait for a GPU, which then would have to wait for the next batch."""
    calls: list[str] = []

    class Told(Tensor):
        def __float__(self) -> float:
            calls.append("read")
            return super().__float__()

    def loss(network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        return CrossEntropy()(network, x_NCHW, y_N).as_subclass(Told)

    def send(compute: Compute, x: Tensor) -> Tensor:
        calls.append("sent")
        return to_device(compute, x)

    to_device = Compute.send
    monkeypatch.setattr(Compute, "send", send)
    config, plan = TrainConfig(batch=8, optimizer="sgd"), warmup_decay(80, warmup=0.0)

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 30))

    train_slice(config, build, make(), loss, start=None, segments=plan, until=24)
    batch = ["sent", "sent"]  # images and labels
    assert calls == [*batch, *batch, "read", *batch, "read", "read"]
