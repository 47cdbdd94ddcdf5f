"""Tests of `tunesmith.training.slice`."""

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunesmith.core.seeds import derive
from tunesmith.data.augmentation import Augmentation
from tunesmith.models.build import find_family
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData, places
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.schedule import warmup_decay
from tunesmith.training.slice import Checkpoint, Outcome, SliceResult, train_slice, untrained

EVERYTHING = Augmentation(
    shift=0.1, rotate=10, scale=0.1, flip=True, flip_vertical=True, brightness=0.1, contrast=0.1,
    cutout=0.2,
)  # fmt: skip
CONFIG = TrainConfig(batch=16, augmentation=EVERYTHING, ema_decay=0.5, early_scale=0.75)
SEGMENTS = warmup_decay(64 * 8, warmup=0.1)


def build() -> nn.Module:
    return convnet(2, 1, size=(12, 12), width=8, dropout=0.2)


@pytest.fixture(scope="module")
def data() -> TrainData:
    """Two classes that differ in brightness; 72 images, so that batches straddle epochs."""
    y = torch.arange(72) % 2
    noise = torch.randint(0, 100, (72, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    x = (noise + 100 * y.view(-1, 1, 1, 1)).to(torch.uint8)
    return TrainData(x_NCHW=x, y_N=y, rows=torch.arange(72), normalize=Normalize.of(x))


def run(data: TrainData, config: TrainConfig, start: Checkpoint | None, until: int) -> SliceResult:
    loss = CrossEntropy(config.label_smoothing)
    return train_slice(config, build, data, loss, start=start, segments=SEGMENTS, until=until)


@pytest.mark.parametrize("block", ["plain", "residual"])
@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
def test_every_kind_of_block_learns_slice_by_slice(
    data: TrainData, block: str, optimizer: str
) -> None:
    def build() -> nn.Module:
        return convnet(2, 1, size=(12, 12), width=8, block=block, head="both", pooling="average")

    def train(start: Checkpoint | None, until: int) -> SliceResult:
        return train_slice(
            CONFIG.model_copy(update={"optimizer": optimizer, "lr": 0.01}), build, data,
            CrossEntropy(), start=start, segments=SEGMENTS, until=until,
        )  # fmt: skip

    whole, head = train(None, 256), train(None, 112)
    tail = train(head.checkpoint, 256)
    assert whole.checkpoint is not None
    assert tail.checkpoint is not None
    equal(tail.checkpoint, whole.checkpoint)
    assert tail.row["loss"] < head.row["loss"]


def equal(a: Checkpoint, b: Checkpoint) -> None:
    torch.testing.assert_close(vars(a), vars(b), rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_two_slices_equal_one(data: TrainData, optimizer: str, *, channels_last: bool) -> None:
    config = CONFIG.model_copy(
        update={"optimizer": optimizer, "channels_last": channels_last, "lr": 0.01}
    )
    whole = run(data, config, None, 256)
    head = run(data, config, None, 112)
    tail = run(data, config, head.checkpoint, 256)
    assert whole.checkpoint is not None
    assert tail.checkpoint is not None
    equal(tail.checkpoint, whole.checkpoint)


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
def test_it_changes_neither_its_start_nor_the_global_random_state(
    data: TrainData, optimizer: str
) -> None:
    config = CONFIG.model_copy(update={"optimizer": optimizer, "lr": 0.01})
    start = run(data, config, None, 64).checkpoint
    assert start is not None
    start_before, state_before = copy.deepcopy(start), torch.get_rng_state()
    run(data, config, start, 192)
    equal(start, start_before)
    torch.testing.assert_close(torch.get_rng_state(), state_before)


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
def test_frozen_layers_keep_their_weights(data: TrainData, optimizer: str) -> None:
    config = CONFIG.model_copy(update={"optimizer": optimizer, "lr": 0.01, "frozen": 0.5})
    first, whole = (run(data, config, None, until).checkpoint for until in (16, 256))
    assert first is not None
    assert whole is not None
    tail = run(data, config, first, 256).checkpoint
    assert tail is not None
    equal(tail, whole)
    moved = {n for n, value in whole.network.items() if not torch.equal(value, first.network[n])}
    trained = {name for name, _ in build().named_parameters()}
    assert {name for name in trained - moved if "convs" in name} == {
        name for name in trained if name.startswith("groups.0.convs")
    }
    assert "head.linear.weight" in moved
    assert all(name.partition("/")[2] in moved for name in whole.optimizer)


@pytest.mark.parametrize("steps", [1, 3, 5, 8])
def test_of_a_short_training_the_last_weights_count_most(data: TrainData, steps: int) -> None:
    config, end = CONFIG.model_copy(update={"ema_decay": 0.9}), steps * CONFIG.batch
    found = train_slice(
        config, build, data, CrossEntropy(), start=None, until=end,
        segments=warmup_decay(end, warmup=0.0),
    ).checkpoint  # fmt: skip
    assert found is not None
    with torch.random.fork_rng():
        torch.manual_seed(derive(config.seed, "init"))
        start = build().state_dict()
    name = "head.linear.weight"
    moved = (found.network[name] - start[name]).norm()
    assert (found.average[name] - found.network[name]).norm() < 0.3 * moved


def test_it_learns(data: TrainData) -> None:
    config = CONFIG.model_copy(update={"augmentation": Augmentation(), "label_smoothing": 0.0})
    first, last = run(data, config, None, 16).row, run(data, config, None, 512).row
    assert last["loss"] < 0.5 * first["loss"]
    assert last["rate"] == 0.0


def test_stopping_ends_the_slice_where_it_is(data: TrainData) -> None:
    asked = iter([False, False, True])
    result = train_slice(
        CONFIG, build, data, CrossEntropy(), start=None, segments=SEGMENTS, until=256,
        stop=lambda: next(asked),
    )  # fmt: skip
    assert result.outcome is Outcome.STOPPED
    assert result.checkpoint is not None
    assert result.checkpoint.seen == 32
    whole = run(data, CONFIG.model_copy(update={"label_smoothing": 0.0}), None, 32).checkpoint
    assert whole is not None
    equal(result.checkpoint, whole)


def test_weights_that_the_last_step_spoiled_are_a_divergence(data: TrainData) -> None:
    """The loss was that before the step, and finite; the first step of a warm-up does nothing."""

    class Loud(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 2)

        def forward(self, x_NCHW: Tensor) -> Tensor:
            z_NK: Tensor = self.linear(1e20 * x_NCHW.mean((2, 3)))
            return z_NK

    wild = CONFIG.model_copy(update={"optimizer": "sgd", "lr": 1e38, "lr_head": 1e38})
    result = train_slice(wild, Loud, data, CrossEntropy(), start=None, segments=SEGMENTS, until=32)
    assert np.isfinite(result.row["loss"])
    assert result.outcome is Outcome.DIVERGED
    assert result.checkpoint is None


def test_what_is_infinite_from_the_start_is_no_divergence(data: TrainData) -> None:
    """Such as the mask of an attention; layers may share weights, too."""

    class Masked(nn.Module):
        mask: Tensor
        total: Tensor

        def __init__(self, *, overflows: bool) -> None:
            super().__init__()
            self.body, self.query, self.key = nn.Linear(144, 8), nn.Linear(8, 8), nn.Linear(8, 8)
            self.key.weight = self.query.weight
            self.head = nn.Linear(8, 2)
            self.overflows = overflows
            self.register_buffer("mask", torch.full((8, 8), -torch.inf).triu(1))
            self.register_buffer("total", torch.ones(2))

        def forward(self, x_NCHW: Tensor) -> Tensor:
            x_ND = self.body(x_NCHW.flatten(1))
            x_NDD = self.query(x_ND)[:, :, None] * self.key(x_ND)[:, None] + self.mask
            if self.training and self.overflows:
                self.total[0] *= 1e38
            z_NK: Tensor = self.head(x_ND + x_NDD.softmax(2).sum(1))
            return z_NK

    def train(start: Checkpoint | None, until: int, *, overflows: bool = False) -> SliceResult:
        return train_slice(
            CONFIG.model_copy(update={"optimizer": "adamw", "lr": 0.01, "early_scale": 1.0}),
            partial(Masked, overflows=overflows), data, CrossEntropy(),
            start=start, segments=SEGMENTS, until=until,
        )  # fmt: skip

    whole, head = train(None, 256), train(None, 112)
    tail = train(head.checkpoint, 256)
    assert whole.outcome is tail.outcome is Outcome.DONE
    assert tail.checkpoint is not None
    assert whole.checkpoint is not None
    equal(tail.checkpoint, whole.checkpoint)
    for part in (tail.checkpoint.network, tail.checkpoint.average):
        assert torch.equal(part["mask"], Masked(overflows=False).mask)
        assert torch.equal(part["query.weight"], part["key.weight"])
        assert part["body.weight"].isfinite().all()
    assert train(None, 112, overflows=True).outcome is Outcome.DIVERGED


def normed() -> nn.Sequential:
    """Batch normalization after each convolution, as in a ResNet."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip


def test_frozen_layers_stay_as_they_are_with_the_statistics_of_their_norms(data: TrainData) -> None:
    config = CONFIG.model_copy(update={"optimizer": "adamw", "lr": 0.01, "frozen": 0.5})
    seen: list[Tensor] = []

    def watched() -> nn.Module:
        network = normed()
        network[1].register_forward_hook(lambda _module, x, y: seen.append(x[0] - y))
        return network

    start = untrained(normed, config.seed).state_dict()
    end = train_slice(
        config, watched, data, CrossEntropy(), start=None, segments=SEGMENTS, until=256
    ).checkpoint  # fmt: skip
    assert end is not None
    for state in (end.network, end.average):
        changed = {name for name, value in start.items() if not torch.equal(value, state[name])}
        assert {name.partition(".")[0] for name in changed} == {"3", "4", "7"}
        assert "4.running_mean" in changed
    # It has seen nothing yet: a mean of 0 and a variance of 1, whatever the batch.
    assert max(float(difference.detach().abs().max()) for difference in seen) < 1e-4


@pytest.mark.parametrize(
    ("name", "changes"),
    [("convnet", {}), ("efficientnet_lite0", {"optimizer": "adamw", "frozen": 1 / 3})],
)
def test_where_no_norm_is_frozen_training_is_the_usual_one(
    data: TrainData, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any]
) -> None:
    config = CONFIG.model_copy(update=changes)
    params = {"width": 8} if name == "convnet" else {"resolution": 32}
    make = find_family(name).builder(2, 1, size=(12, 12), params=params)

    def train() -> SliceResult:
        return train_slice(
            config, make, data, CrossEntropy(), start=None, segments=SEGMENTS, until=64
        )

    found = train().checkpoint
    monkeypatch.setattr(
        "tunesmith.training.epoch.set_training", lambda network, _share: network.train()
    )
    usual = train().checkpoint
    assert found is not None
    assert usual is not None
    equal(found, usual)


def test_divergence_is_an_outcome_and_gives_the_start_back(data: TrainData) -> None:
    start = run(data, CONFIG, None, 32).checkpoint

    def broken(network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        return CrossEntropy()(network, x_NCHW, y_N) * torch.nan

    result = train_slice(
        CONFIG, build, data, broken, start=start, segments=SEGMENTS, until=64
    )  # fmt: skip
    assert result.outcome is Outcome.DIVERGED
    assert result.checkpoint is start


def test_want_of_memory_is_an_outcome(data: TrainData) -> None:
    def hungry(network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        return CrossEntropy()(network, x_NCHW, y_N) + torch.empty(2**60).sum()

    result = train_slice(
        CONFIG, build, data, hungry, start=None, segments=SEGMENTS, until=64
    )  # fmt: skip
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert result.checkpoint is None


def test_other_errors_are_not_swallowed(data: TrainData) -> None:
    def wrong(network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train_slice(CONFIG, build, data, wrong, start=None, segments=SEGMENTS, until=64)


def test_it_refuses_to_go_back(data: TrainData) -> None:
    start = run(data, CONFIG, None, 32).checkpoint
    with pytest.raises(ValueError, match=r"more than 32 examples, but got until=32"):
        run(data, CONFIG, start, 32)


def test_every_epoch_shows_every_image_once() -> None:
    seen: dict[int, list[int]] = {}
    for begin in range(0, 100, 7):
        for epoch, at in places(3, 25, begin, min(100, begin + 7)):
            seen.setdefault(epoch, []).extend(at.tolist())
    assert all(sorted(order) == list(range(25)) for order in seen.values())
    assert len(seen) == 4
    assert seen[0] != seen[1]
