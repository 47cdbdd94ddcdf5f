"""What a loss that forgives wrong labels buys.

    TUNESMITH_DATA=FOLDER python benchmarks/noise.py [--seeds 3] [--budget 60]

Of the training labels of Fashion-MNIST and CIFAR-10, none, a tenth or three tenths are replaced by
random ones; the test part stays as it is. `fit` as it comes, which turns to the forgiving loss once
it sees that labels look wrong, against `fit` that is kept at cross-entropy (``robust = 0``), one
after the other. Rows that are there are kept.
"""

import argparse
import itertools
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np

from fit import write_results
from portfolio import Images, Row, noisy, read_fashion, read_zip, run

RESULTS = Path(__file__).parent / "results" / "noise.json"
SHARES = (0.0, 0.1, 0.3)
LOSSES = {"as it comes": {}, "cross-entropy": {"robust": 0.0}}


def measure(parts: dict[str, Images], share: float, loss: str, *, budget: int, seed: int) -> float:
    """Test accuracy of one run."""
    (x, y), (x_test, y_test) = noisy(parts["train"], share), parts["test"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noisy.npz"
        np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
        return 1 - run(path, {"train": {"seed": seed, **LOSSES[loss]}}, budget)[0]


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
        asked["budget_s"] = options.budget
        if any(row.items() >= asked.items() for row in rows):
            continue
        accuracy = measure(data[name], share, loss, budget=options.budget, seed=seed)
        rows.append({**asked, "accuracy": round(accuracy, 4)})
        print(json.dumps(rows[-1]), flush=True)
        write_results(RESULTS, rows)
    for name, share, loss in itertools.product(data, SHARES, LOSSES):
        found = [
            row["accuracy"]
            for row in rows
            if (row["data"], row["wrong"], row["loss"]) == (name, share, loss)
        ]
        print(f"{name}, {share:.0%} wrong, {loss}: {statistics.median(found):.4f} ({len(found)})")


if __name__ == "__main__":
    main()
