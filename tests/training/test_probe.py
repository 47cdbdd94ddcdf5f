"""Tests of `tunesmith.training.probe`."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tunesmith.core.errors import OutOfMemoryError
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize
from tunesmith.training import probe
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import Compute
from tunesmith.training.epoch import TrainData
from tunesmith.training.probe import ANSWERED, _answering_rate, measure, transform_harm

TWO: dict[str, Any] = {"classes": 2, "metric": "accuracy", "seconds": 60}


def half_bright(count: int, *, sided: bool) -> tuple[Tensor, Tensor]:
    """Images with a bright half: left or right (which mirroring swaps), or top or bottom."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 80, (count, 1, 12, 12), dtype=torch.uint8, generator=generator)
    y = torch.arange(count) % 2
    for image, label in zip(x, y, strict=True):
        half = slice(0, 6) if label else slice(6, 12)
        if sided:
            image[:, :, half] += 100
        else:
            image[:, half, :] += 100
    return x, y


def make(*, sided: bool) -> TrainData:
    x, y = half_bright(200, sided=sided)
    return TrainData(x_NCHW=x, y_N=y, rows=torch.arange(200), normalize=Normalize.of(x))


def build() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2))


@pytest.mark.parametrize("sided", [True, False])
def test_a_change_that_alters_the_meaning_is_found(*, sided: bool) -> None:
    data = make(sided=sided)
    config = TrainConfig(batch=32, optimizer="adamw", lr=0.05, label_smoothing=0.0)
    harm = transform_harm(build, data, data.x_NCHW, data.y_N, config, **TWO)
    assert harm.plain > 0.95
    harmful, harmless = ("flip", "flip_vertical") if sided else ("flip_vertical", "flip")
    assert harm.changed[harmful] < 0.1
    assert harm.changed[harmless] > 0.9
    assert (harm.swapped[harmful], harm.swapped[harmless]) == pytest.approx((1, 0), abs=0.1)
    assert harm.images == 200


def test_without_changes_the_plain_metric_alone_is_measured() -> None:
    data = make(sided=True)
    config = TrainConfig(batch=32, optimizer="adamw", lr=0.05, label_smoothing=0.0)
    harm = transform_harm(build, data, data.x_NCHW, data.y_N, config, **TWO, views={})
    assert harm.plain > 0.95
    assert (harm.changed, harm.swapped, harm.images) == ({}, {}, 200)


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_shift_is_harmful_where_the_exact_position_tells_the_class(*, is_exact: bool) -> None:
    y = torch.arange(200) % 2
    x = torch.zeros(200, 1, 12, 12, dtype=torch.uint8)
    for image, label in zip(x, y.tolist(), strict=True):
        image[:, :, 5 + label if is_exact else slice(6 * label, 6 * label + 6)] = 200
    data = TrainData(x_NCHW=x, y_N=y, rows=torch.arange(200), normalize=Normalize.of(x))
    config = TrainConfig(batch=32, optimizer="adamw", lr=0.05, label_smoothing=0.0)
    harm = transform_harm(build, data, x, y, config, **TWO)
    assert harm.plain > 0.95
    assert (harm.changed["shift"] < 0.7) == is_exact
    assert is_exact or harm.changed["shift"] > 0.95


@pytest.mark.parametrize(("side", "is_judged"), [(8, False), (9, True)])
def test_a_shift_of_less_than_a_pixel_is_not_judged(side: int, *, is_judged: bool) -> None:
    x, y = torch.zeros(20, 1, side, 12, dtype=torch.uint8), torch.arange(20) % 2
    data = TrainData(x_NCHW=x, y_N=y, rows=torch.arange(20), normalize=Normalize.of(x))
    found = transform_harm(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12 * side, 2)),
        data,
        x,
        y,
        TrainConfig(batch=10, optimizer="adamw"),
        **{**TWO, "seconds": 0.0},
    )
    assert found.changed.keys() >= {"flip", "flip_vertical", "rotate"}
    assert ("shift" in found.changed) is is_judged


def test_frozen_norms_are_measured_as_they_are_trained() -> None:
    frozen, other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), frozen, other, nn.Flatten(), nn.Linear(400, 2))
    measure(lambda: network, make(sided=True), TrainConfig(batch=16, frozen=0.5), seconds=0.0)
    for norm, is_trained in ((frozen, False), (other, True)):
        assert norm.running_mean is not None
        assert bool(norm.running_mean.any()) is is_trained


def test_no_copy_of_all_images_is_made() -> None:
    """As floats, 2,000 images of 224 pixels take 1.2 GB."""

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            made = func(*args, **(kwargs or {}))
            if isinstance(made, Tensor) and made.is_floating_point():
                self.numbers = max(self.numbers, made.untyped_storage().nbytes() // 4)
            return made

    data, (x, y) = make(sided=True), half_bright(1000, sided=True)
    config = TrainConfig(batch=32, optimizer="adamw", lr=0.05, label_smoothing=0.0)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        transform_harm(build, data, x, y, config, **TWO)
    assert 0 < largest.numbers < x.numel() / 2


def test_fewer_images_than_a_batch_are_trained_on_all_the_same() -> None:
    data = make(sided=True)
    one = dataclasses.replace(data, rows=data.rows[:1])
    config = TrainConfig(batch=32, optimizer="adamw", lr=0.05, label_smoothing=0.0)
    harm = transform_harm(build, one, data.x_NCHW, data.y_N, config, **TWO)
    assert harm.images == 200
    assert 0 <= harm.plain <= 1


@pytest.mark.parametrize(
    ("first_s", "device", "steps", "rate"),
    [(0.9, "cpu", 2, 16.0), (1.1, "cpu", 1, 16 / 1.1), (1.1, "cuda", 2, 16.0)],
)
def test_a_first_batch_that_takes_very_long_counts_alone(
    monkeypatch: pytest.MonkeyPatch, first_s: float, device: str, steps: int, rate: float
) -> None:
    """On other devices than a CPU, the first one loads kernels."""
    now, trained = 0.0, 0

    def train(*_args: object, **_options: object) -> None:
        nonlocal now, trained
        now, trained = now + (1.0 if trained else first_s), trained + 1

    monkeypatch.setattr(probe, "train_batches", train)
    clock = SimpleNamespace(perf_counter=lambda: now, process_time=lambda: 0.0)
    monkeypatch.setattr(probe, "time", clock)
    data = make(sided=True)
    compute = dataclasses.replace(data.compute, device=torch.device(device))
    elsewhere = dataclasses.replace(data, compute=compute)
    found, _ = probe._rate(build(), elsewhere, TrainConfig(batch=16), 0.1)
    assert found == pytest.approx(rate)
    assert trained == steps


def test_what_is_measured() -> None:
    data = make(sided=True)

    def network() -> nn.Module:
        return convnet(2, 1, size=(12, 12), width=8)

    state = torch.get_rng_state()
    found = measure(network, data, TrainConfig(batch=16), seconds=0.05)
    assert torch.equal(state, torch.get_rng_state())
    assert found.images_per_s > 0
    assert found.parameters == sum(p.numel() for p in network().parameters())
    assert found.activation_bytes > 4 * 18 * 12 * 12


def test_answers_are_timed_on_the_cpu_where_the_graph_is_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever trains; here, what is sent to another device stays."""
    monkeypatch.setattr(Compute, "send", lambda _, x: x)
    asked = []

    class Network(nn.Module):
        def forward(self, x_NCHW: Tensor) -> Tensor:
            asked.append((len(x_NCHW), x_NCHW.device.type))
            return x_NCHW.mean((1, 2, 3))

    images = torch.zeros(500, 1, 8, 8, dtype=torch.uint8)
    labels = torch.zeros(500, dtype=torch.int64)
    data = TrainData(x_NCHW=images, y_N=labels, rows=labels, normalize=Normalize.of(images))
    elsewhere = dataclasses.replace(data.compute, device=torch.device("cuda"))
    for compute, count in ((data.compute, 500), (elsewhere, ANSWERED)):
        asked.clear()
        placed = dataclasses.replace(data, compute=compute)
        assert _answering_rate(Network(), placed, 500, channels_last=True) > 0
        assert asked == [(count, "cpu")] * 2


class Hungry(nn.Module):
    """A network that cannot be trained on more than a few images at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.linear = nn.Linear(144, 2)
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.linear(x.flatten(1))
        return z + torch.empty(2**60) if self.training and len(x) > self.most else z


@pytest.mark.parametrize(("batch", "most", "largest"), [(16, 5, 4), (25, 7, 6), (2, 1, 1)])
def test_for_want_of_memory_a_smaller_batch_is_measured(
    batch: int, most: int, largest: int
) -> None:
    found = measure(lambda: Hungry(most), make(sided=True), TrainConfig(batch=batch), seconds=0.01)
    assert found.largest_batch == largest
    assert min(found.images_per_s, found.answers_per_s, found.activation_bytes) > 0
    enough = measure(lambda: Hungry(batch), make(sided=True), TrainConfig(batch=batch), seconds=0.0)
    assert enough.largest_batch is None


def test_a_network_that_even_one_image_is_too_much_for_is_refused() -> None:
    with pytest.raises(OutOfMemoryError, match=r"batch of one image. Choose a smaller network"):
        measure(lambda: Hungry(0), make(sided=True), TrainConfig(batch=16), seconds=0.0)
