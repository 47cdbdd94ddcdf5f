"""The search that one writes by hand with Optuna: a small network, TPE and the median pruner.

    [TUNESMITH_DATA=FOLDER] python benchmarks/by_hand.py mnist|fashion|cifar10|digits BUDGET_S
        [--seed 0] [--width 32]

``fit.py --reference`` runs it beside `tunesmith fit`. It is not made weak: images are decoded as
fast as ours, freed memory is kept as we keep it, the first trial is a recipe that is known to be
good, widths are searched around ``--width``, a trial has as many epochs as there is time for a few
trials (where these are less than two, the recipe gets all the time), the best network seen at the
end of any epoch is kept, and a trial that is still training when the time is over is cut short. One
JSON line is printed.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fit import SOURCES
from tunesmith.core.clock import Clock, process_age
from tunesmith.core.cores import cores
from tunesmith.data.decode import load
from tunesmith.data.source import Given
from tunesmith.data.sources import open_source
from tunesmith.data.split import split
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.models.preprocess import resize_pixels

SHAPES = {"mnist": (28, 1), "fashion": (28, 1), "cifar10": (32, 3), "digits": (8, 1)}
MIRRORED = {"fashion", "cifar10"}  # data of which an image and its mirror image are of one class
VALIDATION_SHARE, VALIDATION_MOST = 0.2, 5000
NORMALIZED, TESTED_AT_ONCE = 10_000, 1000  # images
TRIALS = 5  # whole trials that there is time for; pruning makes room for more
FEWEST_EPOCHS, MOST_EPOCHS = 2, 30  # of a trial
ADAM = 20.0  # a learning rate for SGD over one that suits AdamW
WARM_UP, TIMED = 2, 5  # batches
SLOWER, END_S = 2.5, 1.5  # the widest network over the first one, in time; the end of the process


@final
@dataclass(frozen=True, kw_only=True)
class Config:
    """What is searched.

    Attributes:
        width: Channels of the first block; the second has twice, the others four times as many.
        blocks: Number of blocks.
        dropout: Share of features that are dropped before the last layer.
        optimizer: ``sgd`` or ``adamw``.
        lr: Highest learning rate, as it suits SGD.
        decay: Weight decay, as it suits SGD.
        batch: Batch size.
        augment: Whether images are shifted and, where that is sensible, mirrored.
    """

    width: int
    blocks: int
    dropout: float
    optimizer: str
    lr: float
    decay: float
    batch: int
    augment: bool


def first(width: int) -> Config:
    """The recipe that one would take without a search."""
    return Config(
        width=width,
        blocks=4,
        dropout=0.1,
        optimizer="sgd",
        lr=0.1,
        decay=5e-4,
        batch=128,
        augment=True,
    )


def suggest(trial: optuna.Trial, width: int) -> Config:
    """The config of a trial, with a width around the given one."""
    return Config(
        width=trial.suggest_int("width", width // 2, 3 * width // 2, step=width // 4),
        blocks=trial.suggest_int("blocks", 3, 4),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        optimizer=trial.suggest_categorical("optimizer", ["sgd", "adamw"]),
        lr=trial.suggest_float("lr", 0.01, 0.5, log=True),
        decay=trial.suggest_float("decay", 1e-5, 5e-3, log=True),
        batch=trial.suggest_categorical("batch", [64, 128, 256]),
        augment=trial.suggest_categorical("augment", [True, False]),
    )


@final
@dataclass(frozen=True, kw_only=True)
class Data:
    """All images in memory, and which of them serve what.

    Attributes:
        x_NHWC: Images, uint8.
        y_N: Their classes.
        classes: Number of classes.
        train: Indices of the images that are trained on.
        validation: Indices of those that trials are compared on.
        test: Indices of those that the best network is tested on.
        mean_C: Mean of each channel.
        std_C: Standard deviation of each channel.
        mirrored: Whether an image and its mirror image are of one class.
    """

    x_NHWC: Tensor
    y_N: Tensor
    classes: int
    train: Tensor
    validation: Tensor
    test: Tensor
    mean_C: Tensor
    std_C: Tensor
    mirrored: bool

    def batch(self, rows: Tensor, *, augment: bool = False) -> Tensor:
        """Some images ``[N, C, H, W]``, normalized; channels are last in memory."""
        x_NHWC = self.x_NHWC[rows]
        if augment:
            x_NHWC = shifted(x_NHWC, most=x_NHWC.shape[1] // 8)
        if augment and self.mirrored:
            chosen_N = torch.rand(len(rows)) < 0.5
            x_NHWC = torch.where(chosen_N.view(-1, 1, 1, 1), x_NHWC.flip(2), x_NHWC)
        return ((x_NHWC.float() - self.mean_C) / self.std_C).permute(0, 3, 1, 2)


def shifted(x_NHWC: Tensor, *, most: int) -> Tensor:
    """Move each image by some pixels in either direction; what becomes free is black."""
    count, height, width, _ = x_NHWC.shape
    padded = F.pad(x_NHWC, (0, 0, most, most, most, most))
    dy_N11, dx_N11 = torch.randint(0, 2 * most + 1, (2, count, 1, 1))
    rows_NH1 = dy_N11 + torch.arange(height)[:, None]
    columns_N1W = dx_N11 + torch.arange(width)
    return padded[torch.arange(count)[:, None, None], rows_NH1, columns_N1W]


def read(name: str, *, seed: int) -> Data:
    """Decode all images, and hold some out."""
    side, channels = SHAPES[name]
    source = open_source(SOURCES[name])
    loaded = load(
        source, channels=channels, size=(side, side), resize=resize_pixels, threads=cores(),
        memory_bound=2**40, folder=Path(),
    )  # fmt: skip
    labels, given = source.labels[loaded.kept], source.given[loaded.kept]
    classes, places = len(source.classes), np.arange(len(labels))
    test = np.flatnonzero(given == Given.TEST)
    if not len(test):  # chosen as `tunesmith fit` does, but for copies, which it keeps together
        test = split(labels, given, places, classes=classes, seed=seed).test
    rest = np.random.default_rng(seed).permutation(np.setdiff1d(places, test))
    held = min(VALIDATION_MOST, int(VALIDATION_SHARE * len(rest)))
    x_NHWC, train = torch.from_numpy(loaded.pixels), torch.from_numpy(rest[held:])
    some = x_NHWC[train[:NORMALIZED]].float()
    return Data(
        x_NHWC=x_NHWC,
        y_N=torch.from_numpy(labels),
        classes=classes,
        train=train,
        validation=torch.from_numpy(rest[:held]),
        test=torch.from_numpy(test),
        mean_C=some.mean((0, 1, 2)),
        std_C=some.std((0, 1, 2)),
        mirrored=name in MIRRORED,
    )


def make_network(config: Config, data: Data) -> nn.Module:
    """Blocks of a convolution, a pooling and a norm, then one linear layer."""
    layers: list[nn.Module] = []
    before = data.x_NHWC.shape[3]
    for block in range(config.blocks):
        after = config.width * (1, 2, 4, 4)[block]
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.MaxPool2d(2, ceil_mode=True),  # before the norm, which then costs a quarter
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        before = after
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(config.dropout)]
    return nn.Sequential(*layers, nn.Linear(before, data.classes))


def make_optimizer(config: Config, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a config, its highest learning rate set."""
    if config.optimizer == "adamw":
        lr, decay = config.lr / ADAM, config.decay * ADAM
        return torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=decay)
    return torch.optim.SGD(
        network.parameters(),
        lr=config.lr,
        momentum=0.9,
        nesterov=True,
        weight_decay=config.decay,
    )


@final
class Training:
    """A network that is trained.

    Args:
        config: Settings.
        data: What it is trained on.
        epochs: Epochs after which the learning rate is zero.
    """

    def __init__(self, config: Config, data: Data, *, epochs: int) -> None:
        self.config, self.data = config, data
        network = make_network(config, data)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = make_optimizer(config, self.network)
        self._steps = len(data.train) // config.batch
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            max_lr=[group["lr"] for group in self._optimizer.param_groups],
            total_steps=epochs * self._steps,
        )

    def batches(self) -> Sequence[Tensor]:
        """Indices of the images of each batch of an epoch; what does not fill one is left out."""
        order = self.data.train[torch.randperm(len(self.data.train))]
        return order[: self._steps * self.config.batch].chunk(self._steps)

    def step(self, rows: Tensor) -> None:
        """Train on one batch."""
        x_NCHW = self.data.batch(rows, augment=self.config.augment)
        self._optimizer.zero_grad()
        F.cross_entropy(self.network(x_NCHW), self.data.y_N[rows]).backward()
        self._optimizer.step()
        self._schedule.step()


def accuracy(network: nn.Module, data: Data, rows: Tensor, *, mirrored: bool = False) -> float:
    """Share of right answers, each to an image alone or to its mirror image as well."""
    right = 0
    network.eval()
    with torch.inference_mode():
        for begin in range(0, len(rows), TESTED_AT_ONCE):
            some = rows[begin : begin + TESTED_AT_ONCE]
            x_NCHW = data.batch(some)
            answers_NK = network(x_NCHW)
            if mirrored:
                answers_NK = answers_NK + network(x_NCHW.flip(3))
            right += int((answers_NK.argmax(1) == data.y_N[some]).sum())
    network.train()
    return right / len(rows)


@final
@dataclass(frozen=True, kw_only=True)
class Best:
    """The best network so far, its config, and its accuracy on the validation part."""

    accuracy: float
    config: Config
    network: nn.Module


@final
@dataclass(kw_only=True)
class Search:
    """The objective that Optuna maximizes.

    Attributes:
        data: What is trained on.
        clock: Clock of the process.
        kept_s: Seconds of the budget that are kept for the test.
        width: Width around which widths are searched.
        epochs: Epochs of a whole trial.
        images: Images trained on so far, by all trials.
        best: The best network so far.
    """

    data: Data
    clock: Clock
    kept_s: float
    width: int
    epochs: int
    images: int = 0
    best: Best | None = None

    def __call__(self, trial: optuna.Trial) -> float:
        """Train a config, and keep its best network."""
        training = Training(suggest(trial, self.width), self.data, epochs=self.epochs)
        found = 0.0
        for epoch in range(self.epochs):
            self._train(training)
            found = accuracy(training.network, self.data, self.data.validation)
            self._keep(training, found)
            trial.report(found, epoch)
            if self.is_over():
                trial.study.stop()
                raise optuna.TrialPruned
            if trial.should_prune():
                raise optuna.TrialPruned
        return found

    def is_over(self) -> bool:
        """Whether there is no time left but what is kept."""
        return self.clock.left() < self.kept_s

    def _train(self, training: Training) -> None:
        """Train for an epoch, or until the time is over: one batch at least."""
        for rows in training.batches():
            training.step(rows)
            self.images += len(rows)
            if self.is_over():
                break

    def _keep(self, training: Training, found: float) -> None:
        if self.best is None or found > self.best.accuracy:
            network = copy.deepcopy(training.network)
            self.best = Best(accuracy=found, config=training.config, network=network)


def per_s(work: Callable[[], object], images: int) -> float:
    """Images a second, the first calls not counted."""
    for _ in range(WARM_UP):
        work()
    began = time.perf_counter()
    for _ in range(TIMED):
        work()
    return TIMED * images / (time.perf_counter() - began)


def planned(data: Data, clock: Clock, *, width: int) -> Search:
    """Measure the first config, and so find how many epochs there is time for."""
    training = Training(first(width), data, epochs=MOST_EPOCHS)
    rows, some = data.train[: training.config.batch], data.train[:TESTED_AT_ONCE]
    train_per_s = per_s(partial(training.step, rows), len(rows))
    test_per_s = per_s(partial(accuracy, training.network, data, some), len(some))
    tested = len(data.validation) + len(data.test) * (2 if data.mirrored else 1)
    kept_s = END_S + SLOWER * tested / test_per_s
    epochs = (clock.left() - kept_s) * train_per_s / len(data.train)
    if epochs >= FEWEST_EPOCHS * TRIALS:
        epochs /= TRIALS  # else the recipe gets all the time
    return Search(
        data=data,
        clock=clock,
        kept_s=kept_s,
        width=width,
        epochs=max(1, int(min(MOST_EPOCHS, epochs))),
    )


def measure(name: str, clock: Clock, *, seed: int, width: int) -> dict[str, Any]:
    """Search, then test the best network."""
    torch.manual_seed(seed)
    data = read(name, seed=seed)
    search = planned(data, clock, width=width)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1),
    )
    study.enqueue_trial(asdict(first(width)))
    began = clock.elapsed()
    study.optimize(search, timeout=max(0.1, clock.left() - search.kept_s))
    search_s = clock.elapsed() - began
    assert search.best is not None  # each trial trains on a batch at least, and is then asked
    best = search.best
    plain = accuracy(best.network, data, data.test)
    mirrored = accuracy(best.network, data, data.test, mirrored=True) if data.mirrored else plain
    return {
        "accuracy": plain,
        "accuracy_mirrored": mirrored,
        "trials": len(study.trials),
        "epochs": search.epochs,
        "config": asdict(best.config),
        "images_per_s": round(search.images / search_s),
        "wall_s": round(clock.elapsed(), 1),
    }


def main() -> None:
    """Search and test as fast as the machine can, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SHAPES)
    parser.add_argument("budget", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=32)
    options = parser.parse_args()
    clock = Clock(budget=options.budget, spent=process_age())
    keep_freed_memory()
    torch.set_num_threads(cores())
    torch.set_flush_denormal(True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(json.dumps(measure(options.name, clock, seed=options.seed, width=options.width)))


if __name__ == "__main__":
    main()
