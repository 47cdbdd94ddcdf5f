"""Speed of decoding and of the training step: ratios taken in one run.

    TUNESMITH_DATA=FOLDER python benchmarks/engine.py

Decoding: MNIST's 70,000 PNG files straight from ``mnist.zip``, against a loop over zipfile and the
simplest use of Pillow. Augmentation: a training step on augmented batches against the same step on
batches that are ready. Power: the operations a second of a step on ready tensors, as a share of
those of a large matrix multiply in the same precision, float32 and what the machine is faster in.
Compiling: the same step by `torch.compile`, and what that takes to begin with. Fine-tuning: a step
of EfficientNet-Lite0, against the same with PyTorch's own gradients of depthwise convolutions.
Graphs: predictions by its exported graph, against the graph as the exporter casts its bounds. Each
is repeated in turn; medians are compared. Against a DataLoader: see loader.py.
"""

import io
import itertools
import json
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tunesmith.bundle.predictor import Graph
from tunesmith.data.augmentation import Augmentation
from tunesmith.data.decode import load
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.execution.machine import measure, versions
from tunesmith.export import onnx
from tunesmith.models import blocks
from tunesmith.models.convnet import convnet
from tunesmith.models.efficientnet_lite import efficientnet_lite0
from tunesmith.models.preprocess import Deployed, Normalize, resize_pixels
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData, batches
from tunesmith.training.layers import freeze
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.slice import make_optimizers

RESULTS = Path(__file__).parent / "results" / "engine.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
REPEATS, STEPS, BATCH, WIDTH = 5, 12, 256, 32
MATRIX, POWER_WIDTHS = 2048, (16, 32, 64)
TUNED_SIDES, TUNED_BATCH, FROZEN = (64, 96, 128), 64, 0.33
AUGMENTATIONS = {
    "photographs": Augmentation(shift=0.0625, flip=True, cutout=0.25),
    "digits": Augmentation(shift=0.0625, rotate=12.0, scale=0.1),
}


def median_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of a few repeats."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def decoding(cores: int) -> dict[str, float]:
    """Images decoded a second, ours and Pillow's."""
    from PIL import Image

    path = FOLDER / "mnist.zip"
    source = open_source(path)

    def ours() -> None:
        load(
            source, channels=1, size=(28, 28), resize=resize_pixels, threads=cores,
            memory_bound=2**40, folder=Path(),
        )  # fmt: skip

    some = 10_000

    def pillow() -> None:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(".png")][:some]
            for name in names:
                np.asarray(Image.open(io.BytesIO(archive.read(name))))

    ours_rate, pillow_rate = len(source.names) / median_s(ours), some / median_s(pillow)
    return {
        "images_per_s": round(ours_rate),
        "pillow_images_per_s": round(pillow_rate),
        "ratio": round(ours_rate / pillow_rate, 2),
    }


def small_network(data: TrainData, width: int) -> nn.Module:
    """The network from scratch, as at the start of a training."""
    _, channels, height, side = data.x_NCHW.shape
    torch.manual_seed(0)
    network = convnet(10, channels, size=(height, side), width=width)
    network.fit_input(data.some(500))
    return network


def stepper(
    network: nn.Module, config: TrainConfig, *, compiled: bool = False
) -> Callable[[Tensor, Tensor], None]:
    """One training step of a network."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    freeze(network, config.frozen)
    compute = choose_device("cpu")
    optimizers, loss = (
        make_optimizers(config, network, compute),
        CrossEntropy(config.label_smoothing),
    )
    forward: nn.Module = network
    if compiled:
        forward = torch.compile(network)  # type: ignore[assignment]

    def step(x_NCHW: Tensor, y_N: Tensor) -> None:
        optimizers.scale(0.1)
        optimizers.zero_grad()
        with compute.precision(mixed=config.mixed_precision):
            value = loss(forward, x_NCHW, y_N)
        optimizers.backward(value)
        with compute.precision(mixed=config.mixed_precision):
            optimizers.step()

    return step


def training(source: Source, cores: int) -> dict[str, Any]:
    """Shares and ratios of the training step."""
    loaded = load(
        source, channels=3, size=(32, 32), resize=resize_pixels, threads=cores,
        memory_bound=2**40, folder=Path(),
    )  # fmt: skip
    x_NCHW = torch.from_numpy(loaded.pixels[:10_000]).permute(0, 3, 1, 2)
    y_N = torch.from_numpy(source.labels[:10_000])
    rows, normalize = torch.arange(len(y_N)), Normalize.of(x_NCHW)
    data = TrainData(x_NCHW=x_NCHW, y_N=y_N, rows=rows, normalize=normalize)
    found: dict[str, Any] = {"width": WIDTH, "batch": BATCH}
    examples = STEPS * BATCH
    for name, augmentation in AUGMENTATIONS.items():
        config = TrainConfig(batch=BATCH, augmentation=augmentation)
        step = stepper(small_network(data, WIDTH), config)
        ready = [(x, y) for _, x, y in batches(data, config, 0, examples)]

        def on_ready(
            step: Callable[[Tensor, Tensor], None] = step,
            ready: list[tuple[Tensor, Tensor]] = ready,
        ) -> None:
            for x, y in ready:
                step(x, y)

        def augmented(
            step: Callable[[Tensor, Tensor], None] = step, config: TrainConfig = config
        ) -> None:
            for _, x, y in batches(data, config, 0, examples):
                step(x, y)

        on_ready()
        # Alternating, so that a slow minute of the machine slows both.
        pairs = [(median_s(on_ready, 1), median_s(augmented, 1)) for _ in range(REPEATS)]
        ratio = statistics.median(b / a for a, b in pairs)
        found[name] = {
            "images_per_s": round(examples / statistics.median(b for _, b in pairs)),
            "slower_by_percent": round(100 * (ratio - 1), 1),
        }
    return found


def ready_batch() -> tuple[TrainData, Tensor, Tensor]:
    """A batch of 32-pixel images, normalized, with labels."""
    images, y_N = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8), torch.arange(BATCH)
    y_N %= 10
    data = TrainData(x_NCHW=images, y_N=y_N, rows=y_N, normalize=Normalize.of(images))
    return data, data.normalize(images).contiguous(memory_format=torch.channels_last), y_N


def compiling() -> dict[str, Any]:
    """Time of a compiled training step over that of the same step as it is."""
    data, x_NCHW, y_N = ready_batch()
    found: dict[str, Any] = {}
    for width in POWER_WIDTHS:
        eager, compiled = (
            partial(
                stepper(small_network(data, width), TrainConfig(batch=BATCH), compiled=c),
                x_NCHW,
                y_N,
            )
            for c in (False, True)
        )
        first_s = median_s(compiled, 1)
        eager()
        ratio = statistics.median(
            median_s(compiled, 3) / median_s(eager, 3) for _ in range(REPEATS)
        )
        found[f"width {width}"] = {"time_ratio": round(ratio, 2), "first_s": round(first_s, 1)}
    return found


def power() -> dict[str, Any]:
    """Operations a second of training steps on 32-pixel images, against a matrix multiply's."""
    fast = choose_device("cpu").autocast
    data, x_NCHW, y_N = ready_batch()
    found: dict[str, Any] = {}
    ways = [torch.float32] if fast is None else [torch.float32, fast]
    for dtype, width in itertools.product(ways, POWER_WIDTHS):
        a, b = (torch.randn(MATRIX, MATRIX, dtype=dtype) for _ in range(2))
        config = TrainConfig(batch=BATCH, mixed_precision=dtype == fast)
        step = partial(stepper(small_network(data, width), config), x_NCHW, y_N)
        with FlopCounterMode(display=False) as counter:
            step()
        multiply = partial(torch.mm, a, b)
        pairs = [(median_s(step, 3), median_s(multiply, 3)) for _ in range(REPEATS)]
        ours = counter.get_total_flops() / statistics.median(s for s, _ in pairs) / 1e9
        peak = 2 * MATRIX**3 / statistics.median(m for _, m in pairs) / 1e9
        share = statistics.median(
            counter.get_total_flops() / s / (2 * MATRIX**3 / m) for s, m in pairs
        )
        name = str(dtype).removeprefix("torch.")
        found.setdefault(name, {})[f"width {width}"] = {
            "gflop_per_s": round(ours),
            "matrix_multiply_gflop_per_s": round(peak),
            "share_percent": round(100 * share),
        }
    return found


def plainly(
    x_NCHW: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int, padding: int
) -> Tensor:
    """The depthwise convolution with PyTorch's own gradients."""
    return F.conv2d(x_NCHW, weight, bias, stride, padding, groups=len(weight))


def fine_tuning() -> dict[str, Any]:
    """Images a second of EfficientNet-Lite0, and with PyTorch's own depthwise gradients."""
    _, x_NCHW, y_N = ready_batch()
    x_NCHW, y_N = x_NCHW[:TUNED_BATCH], y_N[:TUNED_BATCH]
    mixed = choose_device("cpu").autocast is not None
    config = TrainConfig(
        batch=TUNED_BATCH, optimizer="adamw", lr=0.001, frozen=FROZEN, mixed_precision=mixed
    )
    found: dict[str, Any] = {"batch": TUNED_BATCH, "mixed_precision": mixed}
    for side in TUNED_SIDES:
        torch.manual_seed(0)
        network = efficientnet_lite0(10, 3, size=(32, 32), resolution=side)
        step = partial(stepper(network, config), x_NCHW, y_N)
        pairs = []
        for repeat in range(REPEATS + 1):
            ours_s = median_s(step, 3)
            with patch.object(blocks, "depthwise", plainly):
                theirs_s = median_s(step, 3)
            if repeat:  # the first one is to warm up
                pairs.append((ours_s, theirs_s))
        found[f"{side} pixels"] = {
            "images_per_s": round(TUNED_BATCH / statistics.median(s for s, _ in pairs), 1),
            "faster": round(statistics.median(b / a for a, b in pairs), 2),
        }
    return found


def graphs(cores: int) -> dict[str, Any]:
    """Images a second of EfficientNet-Lite0's graph, one view each, and with bounds cast anew."""
    data, _, _ = ready_batch()
    x_NHWC = data.x_NCHW.permute(0, 2, 3, 1).numpy()
    found: dict[str, Any] = {}
    for side in TUNED_SIDES:
        network = efficientnet_lite0(10, 3, size=(32, 32), resolution=side)
        module = Deployed(network, data.normalize, size=(32, 32)).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"

            def exported(path: Path = path, module: Deployed = module) -> Graph:
                traced = onnx.trace(module, data.x_NCHW[:2].permute(0, 2, 3, 1))
                onnx.write(traced, module.state_dict(), path, metadata={})
                return Graph(path, threads=cores)

            ours = partial(exported().probabilities, x_NHWC)
            with patch.object(onnx, "_fold_casts", lambda _: None):
                theirs = partial(exported().probabilities, x_NHWC)
        ours()
        theirs()
        pairs = [(median_s(ours, 1), median_s(theirs, 1)) for _ in range(REPEATS)]
        found[f"{side} pixels"] = {
            "images_per_s": round(len(x_NHWC) / statistics.median(s for s, _ in pairs)),
            "faster": round(statistics.median(b / a for a, b in pairs), 2),
        }
    return found


def main() -> None:
    """Measure and write everything."""
    keep_freed_memory()
    machine = measure(Path())
    torch.set_num_threads(machine.cores)
    torch.set_flush_denormal(True)
    found = {
        "hardware": {"cpu": machine.cpu, "cores": machine.cores},
        "versions": versions(),
        "decoding": decoding(machine.cores),
        "power": power(),
        "compiling": compiling(),
        "fine_tuning": fine_tuning(),
        "graphs": graphs(machine.cores),
        "training": training(open_source(FOLDER / "cifar10.zip"), machine.cores),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "versions"}, indent=1))


if __name__ == "__main__":
    main()
