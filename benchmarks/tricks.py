"""What methods would bring that the engine does not have, and what some of its own bring.

    TUNESMITH_DATA=FOLDER python benchmarks/tricks.py [--data cifar10] [--seconds 60] [--seeds 2]
        [--tricks "MixUp,CutMix"] [--results FILE]

The engine's own training step at equal time, with one change.

Settings are compared by ``ablation.py``. These are no settings. What the engine does not have:
MixUp and CutMix, the hardest examples of a batch, stochastic depth, pooling before a group's first
convolution, inverted residuals, the mean of the last few weights, batch statistics that are
measured again with the averaged weights. And what it has, left out: the whitening first layer,
filters that begin as the identity, mirror images at the end, shifted images or none; with more
views of an image. Each network, of one width, trains for as many examples as its speed allows in
the time, at a learning rate that falls to zero, and is tested with its averaged weights. Rows that
are in the results already are kept.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional as F

from fit import write_results
from portfolio import Images, read_fashion, read_zip
from tunesmith.data.augmentation import Augmentation
from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.models.blocks import FixedGainNorm, Residual, SameConv2d
from tunesmith.models.convnet import ConvNet, convnet
from tunesmith.models.groups import ConvGroup
from tunesmith.models.preprocess import Normalize
from tunesmith.models.views import ALONE, CHOICES, ManyViews, View, passes
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.findings import SHIFT
from tunesmith.training.losses import CrossEntropy, Loss
from tunesmith.training.schedule import Segment, warmup_decay
from tunesmith.training.slice import Checkpoint, place, train_slice

RESULTS = Path(__file__).parent / "results" / "tricks.json"
WIDTH, BATCH = 32, 512
MEASURED = 12  # steps to measure a speed by, and batches to measure statistics by
SIDES = {"cifar10": 32, "fashion": 28}
# As the plan chooses for each, mirror images aside, which it does not use for clothes.
SHIFTED, STILL = Augmentation(shift=SHIFT, flip=True), Augmentation(flip=True)
CHANGED = {"cifar10": SHIFTED, "fashion": STILL}
BASE = TrainConfig(early_scale=0.75)
Change = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Mixed:
    """Cross-entropy of images that are mixed in pairs (Zhang et al. 2018; Yun et al. 2019)."""

    smoothing: float
    cut: bool

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        other = torch.randperm(len(x_NCHW))
        if self.cut:
            x_NCHW, share = pasted(x_NCHW, x_NCHW[other], float(torch.rand(())))
        else:
            share = float(Beta(0.2, 0.2).sample())
            x_NCHW = share * x_NCHW + (1 - share) * x_NCHW[other]
        loss, z_NK = CrossEntropy(self.smoothing), network(x_NCHW)
        same = nn.Identity()
        return share * loss(same, z_NK, y_N) + (1 - share) * loss(same, z_NK, y_N[other])


def pasted(x_NCHW: Tensor, other_NCHW: Tensor, share: float) -> tuple[Tensor, float]:
    """Paste a rectangle of other images over all but about ``share`` of these."""
    height, width = x_NCHW.shape[2:]
    tall, wide = (round(side * (1 - share) ** 0.5) for side in (height, width))
    top, left = (int(torch.randint(limit + 1, ())) for limit in (height - tall, width - wide))
    x_NCHW = x_NCHW.clone()
    where = (..., slice(top, top + tall), slice(left, left + wide))
    x_NCHW[where] = other_NCHW[where]
    return x_NCHW, 1 - tall * wide / (height * width)


@dataclass(frozen=True)
class Hardest:
    """Cross-entropy of the half of a batch with the largest loss, found without a gradient."""

    smoothing: float

    def __call__(self, network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        """See `Loss`."""
        with torch.no_grad():
            loss_N = F.cross_entropy(network.eval()(x_NCHW), y_N, reduction="none")
        network.train()
        kept = loss_N.topk(len(y_N) // 2).indices
        return CrossEntropy(self.smoothing)(network, x_NCHW[kept], y_N[kept])


class PooledFirst(nn.Module):
    """A group that halves the resolution before its first convolution, not after it."""

    def __init__(self, group: ConvGroup) -> None:
        super().__init__()
        self.group, self.pool = group, group.pool
        group.pool = nn.Sequential()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the module; the shapes are those of what it wraps."""
        y_NCHW: Tensor = self.group(self.pool(x_NCHW))
        return y_NCHW


class Dropped(nn.Module):
    """A residual block that is skipped for a tenth of the images (Huang et al. 2016)."""

    def __init__(self, block: Residual) -> None:
        super().__init__()
        self.block = block

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the module; the shapes are those of what it wraps."""
        y_NCHW: Tensor = self.block(x_NCHW)
        if not self.training:
            return y_NCHW
        kept = torch.rand(len(x_NCHW), 1, 1, 1) < 0.9
        return torch.where(kept, y_NCHW, x_NCHW)


def pooled_first(network: nn.Module) -> nn.Module:
    """Pool first in all groups but the first one."""
    groups = network.groups
    assert isinstance(groups, nn.Sequential)
    for place_, group in list(enumerate(groups))[1:]:
        assert isinstance(group, ConvGroup)
        groups[place_] = PooledFirst(group)
    return network


class SqueezeExcite(nn.Module):
    """Channels reweighted by global context (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // 4, 1),
            nn.GELU(),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the module; the shape stays."""
        y_NCHW: Tensor = x_NCHW * self.weigh(x_NCHW)
        return y_NCHW


def inverted_block(channels_in: int, channels_out: int, pool: nn.Module | None) -> Residual:
    """Make an inverted residual with squeeze-and-excitation (Howard et al. 2019)."""
    wide = 4 * channels_in
    return Residual(
        nn.Conv2d(channels_in, wide, 1, bias=False),
        FixedGainNorm(wide),
        nn.GELU(),
        SameConv2d(wide, wide, 3, groups=wide),
        pool or nn.Identity(),
        FixedGainNorm(wide),
        nn.GELU(),
        SqueezeExcite(wide),
        nn.Conv2d(wide, channels_out, 1, bias=False),
        FixedGainNorm(channels_out),
        shortcut=None if pool else nn.Identity(),
    )


def inverted(network: nn.Module) -> nn.Module:
    """Make each group of two inverted residuals."""
    groups = network.groups
    assert isinstance(groups, nn.Sequential)
    for place_, group in list(enumerate(groups)):
        assert isinstance(group, ConvGroup)
        (before, after), pool = group.convs, group.pool
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.Conv2d)
        groups[place_] = nn.Sequential(
            inverted_block(before.in_channels, before.out_channels, pool),
            inverted_block(after.in_channels, after.out_channels, None),
        )
    return network


def trained_first(network: nn.Module) -> nn.Module:
    """Replace whitening by a convolution that is trained like the others."""
    assert isinstance(network, ConvNet)
    stem = network.stem
    count, channels, side, _ = stem.weight.shape
    conv = nn.Conv2d(channels, count, side, stem.stride, stem.padding, bias=False)
    network.stem = nn.Sequential(conv, FixedGainNorm(count))  # type: ignore[assignment]
    return network


def random_filters(network: nn.Module) -> nn.Module:
    """Draw all filters at random; none passes its input on."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()
    return network


@torch.no_grad()
def measure_again(network: nn.Module, data: TrainData) -> None:
    """Replace the batch statistics by those of a few thousand training images."""
    network.train()
    order = torch.randperm(len(data.rows), generator=torch.Generator().manual_seed(0))
    for begin in range(MEASURED):
        for norm in network.modules():
            if isinstance(norm, FixedGainNorm):
                norm.momentum = 1 / (begin + 1)
        rows = data.rows[order[begin * BATCH : (begin + 1) * BATCH]]
        network(data.normalize(data.x_NCHW[rows]))


def dropped(network: nn.Module) -> nn.Module:
    """Skip the second block of each group at random."""
    groups = network.groups
    assert isinstance(groups, nn.Sequential)
    for group in groups:
        assert isinstance(group, nn.Sequential)
        assert isinstance(group[1], Residual)
        group[1] = Dropped(group[1])
    return network


def unchanged(network: nn.Module) -> nn.Module:
    """Leave a network as it is."""
    return network


@dataclass(frozen=True)
class Trick:
    """What differs from the engine's own training."""

    loss: Callable[[float], Loss] = CrossEntropy
    params: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    change: Change = unchanged
    last: bool = False


AS_IT_IS = "as it is"
RESIDUAL = {"block": "residual", "depth": 2}
TRICKS: Mapping[str, Trick] = {
    AS_IT_IS: Trick(),
    "MixUp": Trick(loss=lambda smoothing: Mixed(smoothing, cut=False)),
    "CutMix": Trick(loss=lambda smoothing: Mixed(smoothing, cut=True)),
    "the harder half of 1,024 images": Trick(loss=Hardest, train={"batch": 1024}),
    "pooling before the first convolution": Trick(change=pooled_first),
    "two residual blocks a group": Trick(params=RESIDUAL),
    "the same with stochastic depth": Trick(params=RESIDUAL, change=dropped),
    "inverted residual blocks": Trick(change=inverted),
    "mean of the last five weights": Trick(last=True),
    "a trained first convolution": Trick(change=trained_first),
    "random filters to begin with": Trick(change=random_filters),
    "shifted images": Trick(train={"augmentation": SHIFTED}),
    "images that are not shifted": Trick(train={"augmentation": STILL}),
}
MIRRORED = (View.AS_IS, View.MIRRORED)
# What differs in testing alone, with the weights of the training as it is: views, and whether batch
# statistics are measured again.
ENDINGS: Mapping[str, tuple[tuple[View, ...], bool]] = {
    AS_IT_IS: (MIRRORED, False),
    "batch statistics measured again": (MIRRORED, True),
    "no mirror images at the end": (ALONE, False),
    "moved images at the end, too": (CHOICES[-1], False),
}
Build = Callable[[], nn.Module]


def tensor(x: NDArray[np.uint8]) -> Tensor:
    """Images ``(N, C, H, W)`` of an array with or without channels."""
    return torch.from_numpy(x if x.ndim == 4 else x[..., None]).permute(0, 3, 1, 2)


def data_of(images: Images) -> TrainData:
    """Training images of one kind, ready for the loop."""
    x_NCHW, y = tensor(images[0]), images[1]
    rows = torch.arange(len(y))
    return TrainData.on(
        choose_device("cpu"), x_NCHW, torch.from_numpy(y).long(), rows, Normalize.of(x_NCHW)
    )


def made(trick: Trick, x_NCHW: Tensor) -> ConvNet:
    """The network for these images, before its change."""
    _, channels, height, width = x_NCHW.shape
    return convnet(10, channels, size=(height, width), width=WIDTH, **trick.params)


def examples_in(
    seconds: float, config: TrainConfig, build: Build, data: TrainData, loss: Loss
) -> int:
    """Examples that there is time for, half of them at the small size."""
    cost = 0.0  # seconds of an example
    for scale in (config.early_scale, 1.0):
        once = config.model_copy(update={"early_scale": scale})
        begun, took = None, 0.0
        for steps in (2, 2 + MEASURED):  # the first ones warm up
            began = time.perf_counter()
            begun = train_slice(
                once, build, data, loss, start=begun, segments=warmup_decay(2**40, warmup=0.0),
                until=steps * config.batch,
            ).checkpoint  # fmt: skip
            took = time.perf_counter() - began
        cost += took / (MEASURED * config.batch) / 2
    return int(seconds / cost) // config.batch * config.batch


def trained(
    trick: Trick, data: TrainData, changed: Augmentation, *, seconds: float, seed: int
) -> Mapping[str, Tensor]:
    """Weights of one training."""
    height, width = data.x_NCHW.shape[2:]
    scale = 0.75 if min(height, width) >= SIDES["cifar10"] else 1.0
    changes = {"early_scale": scale, "seed": seed, "augmentation": changed}
    config = TrainConfig.model_validate({**BASE.model_dump(), **changes, **trick.train})
    loss = trick.loss(config.label_smoothing)

    def build() -> nn.Module:
        network = made(trick, data.x_NCHW)
        network.fit_input(data.some(2000))
        return trick.change(network)

    end = examples_in(seconds, config, build, data, loss)
    segments: tuple[Segment, ...] = warmup_decay(end, warmup=config.warmup)
    parts = [end]
    if trick.last:  # over the last tenth of the training
        parts = [round(end * (0.9 + 0.02 * k) / config.batch) * config.batch for k in range(1, 6)]
    kept: list[Checkpoint] = []
    for until in parts:
        start = kept[-1] if kept else None
        found = train_slice(
            config, build, data, loss, start=start, segments=segments, until=until
        ).checkpoint
        assert found is not None
        kept.append(found)
    if not trick.last:
        return kept[-1].average
    return {
        name: torch.stack([each.network[name] for each in kept]).float().mean(0)
        for name in kept[-1].network
    }


def tested(
    trick: Trick,
    weights: Mapping[str, Tensor],
    data: TrainData,
    test: Images,
    *,
    views: tuple[View, ...],
    is_measured_again: bool,
) -> float:
    """Accuracy on the test part, averaged over views of an image."""
    x_NCHW, y = tensor(test[0]), test[1]
    network = place(trick.change(made(trick, x_NCHW)), data, BASE)
    network.load_state_dict(weights)
    if is_measured_again:
        measure_again(network, data)
    viewing, copies = ManyViews(network, views).eval(), passes(views)
    ask = partial(logits, normalize=data.normalize, channels_last=True, copies=copies)
    return accuracy(ask(viewing, x_NCHW), y)


def main() -> None:
    """Measure what is missing, then print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10", choices=list(SIDES))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tricks", default=",".join(TRICKS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_freed_memory()
    parts = read_fashion() if options.data == "fashion" else read_zip("cifar10.zip", 3)
    data = data_of(parts["train"])
    path: Path = options.results
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    for seed, name in itertools.product(range(options.seeds), options.tricks.split(",")):
        asked = {"data": options.data, "budget_s": options.seconds, "seed": seed}
        if any(row.items() >= {**asked, "variant": name}.items() for row in rows):
            continue
        weights = trained(
            TRICKS[name], data, CHANGED[options.data], seconds=options.seconds, seed=seed
        )
        endings = ENDINGS if name == AS_IT_IS else {name: ENDINGS[AS_IT_IS]}
        for variant, (views, is_measured_again) in endings.items():
            share = tested(
                TRICKS[name],
                weights,
                data,
                parts["test"],
                views=views,
                is_measured_again=is_measured_again,
            )
            rows.append({**asked, "variant": variant, "accuracy": round(share, 4)})
            print(json.dumps(rows[-1]), flush=True)
        write_results(path, rows)
    for name in dict.fromkeys(row["variant"] for row in rows):
        asked = {"data": options.data, "budget_s": options.seconds, "variant": name}
        found = [row["accuracy"] for row in rows if row.items() >= asked.items()]
        if not found:
            continue
        print(f"{name}: {statistics.median(found):.4f} ({len(found)})")


if __name__ == "__main__":
    main()
