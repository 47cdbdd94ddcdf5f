"""What mirrored images bring in long trainings, beside what the plan knows beforehand.

    TUNESMITH_DATA=FOLDER python benchmarks/mirrors.py [--data fashion,mnist] [--images 3000,10000]
        [--epochs 40] [--seeds 2] [--results FILE]

A network of one width trains on some images of each data set with and without mirrored ones, its
other augmentations as the plan chooses them for so many epochs, and is tested on the test part.
Where mirrored images were trained on, its predictions are averaged over an image and its mirror
image, as ``fit`` does with so few images. Before that, a brief training measures how many mirrored
images are recognized, and how much of two classes mirroring exchanges (`swapped`), as ``fit`` does.
Rows that are in the results already are kept.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fit import write_results
from portfolio import Images, read_fashion, read_zip
from tricks import MIRRORED, data_of, tensor
from tunesmith.data.sources import open_source
from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.models.convnet import convnet
from tunesmith.models.views import ALONE, ManyViews, passes
from tunesmith.plan import batch_of
from tunesmith.plan.augmentation import choose_augmentation
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.findings import Harm
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.probe import transform_harm
from tunesmith.training.schedule import warmup_decay
from tunesmith.training.slice import place, train_slice

RESULTS = Path(__file__).parent / "results" / "mirrors.json"
WIDTH, PROBED, JUDGED, SECONDS = 24, 16, 600, 6.0


def read_digits() -> dict[str, Images]:
    """Training and test part of scikit-learn's digits, of which every fifth is tested."""
    source = open_source("digits")
    images = [np.asarray(source.read(n)) for n in range(len(source.names))]
    x, y = np.stack(images), source.labels
    is_test = np.arange(len(y)) % 5 == 0
    return {"train": (x[~is_test], y[~is_test]), "test": (x[is_test], y[is_test])}


READ: dict[str, Callable[[], dict[str, Images]]] = {
    "digits": read_digits,
    "fashion": read_fashion,
    "mnist": partial(read_zip, "mnist.zip", 1),
    "cifar10": partial(read_zip, "cifar10.zip", 3),
}


def network(data: TrainData, width: int) -> nn.Module:
    """An untrained network that knows the images' statistics."""
    _, channels, height, across = data.x_NCHW.shape
    found = convnet(10, channels, size=(height, across), width=width)
    found.fit_input(data.some(2000))
    return found


def harm_of(data: TrainData, config: TrainConfig) -> Harm:
    """What changes do to images, measured as ``fit`` does, on the last of them."""
    held = data.rows[-JUDGED:]
    return transform_harm(
        partial(network, data, PROBED),
        replace(data, rows=data.rows[:-JUDGED]),
        data.x_NCHW[held],
        data.y_N[held],
        config,
        classes=10,
        metric="accuracy",
        seconds=SECONDS,
    )


def tested(data: TrainData, config: TrainConfig, epochs: int, test: Images) -> float:
    """Accuracy after a training, with the views that ``fit`` would average."""
    end = epochs * len(data) // config.batch * config.batch
    segments = warmup_decay(end, warmup=config.warmup)
    build, loss = partial(network, data, WIDTH), CrossEntropy(config.label_smoothing)
    found = train_slice(config, build, data, loss, start=None, segments=segments, until=end)
    assert found.checkpoint is not None
    trained = place(build(), data, config)
    trained.load_state_dict(found.checkpoint.average)
    views = MIRRORED if config.augmentation.flip else ALONE
    viewing = ManyViews(trained, views).eval()
    ask = partial(logits, normalize=data.normalize, channels_last=True, copies=passes(views))
    return accuracy(ask(viewing, tensor(test[0])), test[1])


def measure(name: str, images: int, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Rows with and without mirrored images."""
    parts = READ[name]()
    chosen = np.random.default_rng(seed).permutation(len(parts["train"][1]))[:images]
    data = data_of((parts["train"][0][chosen], parts["train"][1][chosen]))
    config = TrainConfig(seed=seed, batch=batch_of(images))
    harm = harm_of(data, config)
    planned, _ = choose_augmentation(harm, epochs=epochs)
    rows = []
    for flip in (False, True):
        augmentation = planned.model_copy(update={"flip": flip})
        share = tested(
            data, config.model_copy(update={"augmentation": augmentation}), epochs, parts["test"]
        )
        rows.append(
            {
                "data": name,
                "images": images,
                "epochs": epochs,
                "seed": seed,
                "mirrored": flip,
                "planned": planned.flip == flip,
                "recognized": round(harm.changed["flip"] / harm.plain, 3),
                "swapped": harm.swapped["flip"],
                "accuracy": round(share, 4),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion,mnist")
    parser.add_argument("--images", default="3000,10000")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    path: Path = options.results
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    asked = itertools.product(
        range(options.seeds), options.data.split(","), map(int, options.images.split(","))
    )
    for seed, name, images in asked:
        one = {"data": name, "images": images, "epochs": options.epochs, "seed": seed}
        if not any(row.items() >= one.items() for row in rows):
            rows.extend(measure(name, images, options.epochs, seed))
            write_results(path, rows)


if __name__ == "__main__":
    main()
