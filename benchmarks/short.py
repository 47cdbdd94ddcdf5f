"""Which batch trainings of some seconds learn most with.

    TUNESMITH_DATA=FOLDER python benchmarks/short.py [--data mnist,fashion,cifar10]
        [--seconds 2,5,10,20,40] [--batches 32,64,128,256,512] [--seeds 2] [--results FILE]

Large batches are computed faster, small ones make more steps. The engine's own training of the
narrowest network, whose learning rate falls to zero at the end of the time, is tested with its
averaged weights; images are not augmented, as there is hardly an epoch. Rows that are in the
results already are kept.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from fit import write_results
from portfolio import Images, read_fashion, read_zip
from tricks import data_of, examples_in, tensor
from tunesmith.data.augmentation import Augmentation
from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.models.convnet import convnet
from tunesmith.plan import WIDTHS
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import CrossEntropy
from tunesmith.training.schedule import warmup_decay
from tunesmith.training.slice import place, train_slice

RESULTS = Path(__file__).parent / "results" / "short.json"
READ: Mapping[str, Callable[[], dict[str, Images]]] = {
    "mnist": partial(read_zip, "mnist.zip", 1),
    "fashion": read_fashion,
    "cifar10": partial(read_zip, "cifar10.zip", 3),
}


def learned(
    data: TrainData, test: Images, *, seconds: float, batch: int, seed: int
) -> tuple[int, float]:
    """Examples that there was time for, and the accuracy on the test part."""
    _, channels, height, width = data.x_NCHW.shape
    config = TrainConfig(batch=batch, seed=seed, augmentation=Augmentation())

    def build() -> nn.Module:
        network = convnet(10, channels, size=(height, width), width=WIDTHS[0])
        network.fit_input(data.some(500))
        return network

    loss = CrossEntropy(config.label_smoothing)
    end = max(batch, examples_in(seconds, config, build, data, loss))
    segments = warmup_decay(end, warmup=config.warmup)
    found = train_slice(config, build, data, loss, start=None, segments=segments, until=end)
    assert found.checkpoint is not None
    network = place(build(), data, config)
    network.load_state_dict(found.checkpoint.average)
    z_NK = logits(network.eval(), tensor(test[0]), normalize=data.normalize, channels_last=True)
    return end, accuracy(z_NK, test[1])


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=",".join(READ))
    parser.add_argument("--seconds", default="2,5,10,20,40")
    parser.add_argument("--batches", default="32,64,128,256,512")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_freed_memory()
    path: Path = options.results
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    seeds = range(options.first_seed, options.seeds)
    seconds, batches = options.seconds.split(","), options.batches.split(",")
    for name in options.data.split(","):
        parts = READ[name]()
        data = data_of(parts["train"])
        for seed, budget, batch in itertools.product(seeds, seconds, batches):
            asked = {"data": name, "budget_s": float(budget), "batch": int(batch), "seed": seed}
            if any(row.items() >= asked.items() for row in rows):
                continue
            examples, share = learned(
                data, parts["test"], seconds=float(budget), batch=int(batch), seed=seed
            )
            rows.append({**asked, "examples": examples, "accuracy": round(share, 4)})
            print(json.dumps(rows[-1]), flush=True)
            write_results(path, rows)


if __name__ == "__main__":
    main()
