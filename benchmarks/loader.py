"""Throughput of training against what a first tutorial writes: a DataLoader, one image at a time.

    TUNESMITH_DATA=FOLDER python benchmarks/loader.py

Both train the same network at the same batch size on the same kinds of augmentation. The plain
script transforms images one by one with Pillow, in the main process (DataLoader's default) or in as
many workers as there are cores, and leaves torch as it comes; ours multiplies matrices in bfloat16
where the processor does. Each measurement is a process of its own, the three take turns, and the
rates' medians are compared.
"""

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engine import small_network, stepper
from tunesmith.data.augmentation import Augmentation
from tunesmith.data.decode import load
from tunesmith.data.sources import open_source
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.execution.machine import measure, versions
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize, resize_pixels
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData, batches

RESULTS = Path(__file__).parent / "results" / "loader.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
CASES = (("cifar10", 32), ("cifar10", 16), ("mnist", 16), ("mnist", 8))  # data, width
REPEATS, BATCH, SECONDS, IMAGES = 3, 256, 6.0, 20_000
AUGMENTATIONS = {
    "cifar10": Augmentation(shift=0.0625, flip=True, cutout=0.25),
    "mnist": Augmentation(shift=0.0625, rotate=12.0, scale=0.1),
}
Pixels = NDArray[np.uint8]


def images_of(data: str) -> tuple[Pixels, NDArray[np.int64]]:
    """Some images ``[N, H, W, C]`` and their classes."""
    source, channels = open_source(FOLDER / f"{data}.zip"), 3 if data == "cifar10" else 1
    size = (32, 32) if data == "cifar10" else (28, 28)
    loaded = load(
        source, channels=channels, size=size, resize=resize_pixels, threads=2, memory_bound=2**40,
        folder=Path(),
    )  # fmt: skip
    some = np.random.default_rng(0).permutation(len(loaded.pixels))[:IMAGES]
    return loaded.pixels[some], source.labels[some]


def photograph(image: Image.Image, chance: np.random.Generator) -> Tensor:
    """Shift by up to 2 pixels, mirror, cut out a square."""
    dx, dy = chance.integers(0, 5, 2)
    image = ImageOps.expand(image, 2).crop((dx, dy, dx + 32, dy + 32))
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    x_CHW = to_tensor(image)
    top, left = chance.integers(0, 25, 2)
    x_CHW[:, top : top + 8, left : left + 8] = 0
    return x_CHW


def digit(image: Image.Image, chance: np.random.Generator) -> Tensor:
    """Rotate, scale and shift."""
    angle = np.deg2rad(chance.uniform(-12, 12))
    factor, (dx, dy) = chance.uniform(0.9, 1.1), chance.uniform(-2, 2, 2)
    cos, sin, middle = factor * np.cos(angle), factor * np.sin(angle), 14
    shift_x = middle - cos * middle - sin * middle + dx
    shift_y = middle + sin * middle - cos * middle + dy
    turned = image.transform(
        (28, 28),
        Image.Transform.AFFINE,
        (cos, sin, shift_x, -sin, cos, shift_y),
        Image.Resampling.BILINEAR,
    )
    return to_tensor(turned)


def to_tensor(image: Image.Image) -> Tensor:
    """Pixels as floats around 0."""
    x_HWC = torch.from_numpy(np.array(image)).reshape(image.height, image.width, -1)
    return (x_HWC.permute(2, 0, 1).float() / 255 - 0.5) / 0.25


TRANSFORMS = {"cifar10": photograph, "mnist": digit}


class Plain(Dataset[tuple[Tensor, int]]):
    """What is written in a first tutorial."""

    def __init__(self, data: str, pixels: Pixels, labels: NDArray[np.int64]) -> None:
        self.pixels, self.labels, self.transform = pixels, labels, TRANSFORMS[data]
        self.chance = np.random.default_rng()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.pixels[index].squeeze())
        return self.transform(image, self.chance), int(self.labels[index])


def rate(stream: Iterable[tuple[Tensor, Tensor]], step: Callable[[Tensor, Tensor], None]) -> float:
    """Images trained on a second, the first steps not counted."""
    seen, began = 0, 0.0
    for count, (x_NCHW, y_N) in enumerate(stream):
        if count == 3:
            began = time.perf_counter()
        step(x_NCHW, y_N)
        seen += len(y_N) if count >= 3 else 0
        if began and time.perf_counter() - began > SECONDS:
            break
    return seen / (time.perf_counter() - began)


def ours(data: str, width: int) -> float:
    """Images a second of the engine, set up as `fit` does."""
    keep_freed_memory()
    torch.set_flush_denormal(True)
    pixels, labels = images_of(data)
    x_NCHW, y_N = torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(labels)
    known = TrainData(
        x_NCHW=x_NCHW, y_N=y_N, rows=torch.arange(len(y_N)), normalize=Normalize.of(x_NCHW)
    )
    config = TrainConfig(batch=BATCH, augmentation=AUGMENTATIONS[data])
    step = stepper(small_network(known, width), config)
    return rate(((x, y) for _, x, y in batches(known, config, 0, 10**7)), step)


def plain(data: str, width: int, workers: int) -> float:
    """Images a second of the tutorial's script."""
    pixels, labels = images_of(data)
    torch.manual_seed(0)
    network = convnet(10, pixels.shape[3], size=pixels.shape[1:3], width=width)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def step(x_NCHW: Tensor, y_N: Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x_NCHW), y_N).backward()
        optimizer.step()

    loader = DataLoader(
        Plain(data, pixels, labels), batch_size=BATCH, shuffle=True, num_workers=workers
    )
    return rate(((x, y) for _ in range(1000) for x, y in loader), step)


def in_process(function: Callable[..., float], *values: object) -> float:
    """Call a function in a fresh process."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(function, *values).result()


def main() -> None:
    """Measure and write everything."""
    machine = measure(Path())
    cases = []
    for data, width in CASES:
        turns = [
            (
                in_process(ours, data, width),
                in_process(plain, data, width, 0),
                in_process(plain, data, width, machine.cores),
            )
            for _ in range(REPEATS)
        ]
        own, alone, workers = (
            round(statistics.median(rates)) for rates in zip(*turns, strict=True)
        )
        cases.append(
            {
                "data": data,
                "width": width,
                "images_per_s": own,
                "dataloader_images_per_s": alone,
                "dataloader_with_workers_images_per_s": workers,
                "times_a_dataloader": round(own / alone, 2),
                "times_a_dataloader_with_workers": round(own / workers, 2),
            }
        )
        print(json.dumps(cases[-1]))
    found = {
        "hardware": {"cpu": machine.cpu, "cores": machine.cores},
        "versions": versions(),
        "batch": BATCH,
        "repeats": REPEATS,
        "cases": cases,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
