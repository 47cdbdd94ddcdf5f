"""What a loss that forgives wrong labels buys.

    TUNESMITH_DATA=FOLDER python benchmarks/noise.py [--seeds 3] [--budget 60]

Of the labels of 5,000 training images of Fashion-MNIST and CIFAR-10, none, a tenth or three tenths
are replaced by random ones; the test part stays as it is. (Of more images, a short budget sees each
too seldom for their labels to be learned by heart.) `fit` as it comes, which turns to the forgiving
loss once it sees that labels look wrong, against `fit` that is kept at cross-entropy (``robust =
0``), one after the other. Rows that are there are kept.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np

from fit import write_results
from pages import noise_table
from portfolio import Images, Row, fitted, noisy, read_fashion, read_zip, some
from tunesmith.jobs.training.forgive import FORGIVES

RESULTS = Path(__file__).parent / "results" / "noise.json"
IMAGES, SHARES = 5000, (0.0, 0.1, 0.3)
LOSSES = {"as it comes": {}, "cross-entropy": {"robust": 0.0}}


def measure(parts: dict[str, Images], share: float, loss: str, *, budget: int, seed: int) -> Row:
    """Test accuracy of one run, and whether it noticed wrong labels."""
    (x, y), (x_test, y_test) = noisy(some(parts["train"], IMAGES), share), parts["test"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noisy.npz"
        np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
        told, _ = fitted(path, {"train": {"seed": seed, **LOSSES[loss]}}, budget)
    noticed = any(FORGIVES in note for note in told["notes"])
    return {"accuracy": round(told["score"]["value"], 4), "noticed": noticed}


def main() -> None:
    """Measure what is missing, then print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=60)
    options = parser.parse_args()
    data = {"fashion": read_fashion(), "cifar10": read_zip("cifar10.zip", 3)}
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    for seed, name, share, loss in itertools.product(range(options.seeds), data, SHARES, LOSSES):
        asked = {"data": name, "wrong": share, "loss": loss, "seed": seed}
        asked |= {"budget_s": options.budget, "images": IMAGES}
        if any(row.items() >= asked.items() for row in rows):
            continue
        found = measure(data[name], share, loss, budget=options.budget, seed=seed)
        rows.append({**asked, **found})
        print(json.dumps(rows[-1]), flush=True)
        write_results(RESULTS, rows)
    print(noise_table(rows))


if __name__ == "__main__":
    main()
