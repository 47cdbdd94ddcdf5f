"""What `--metric balanced_accuracy` buys where some classes are rare.

    TUNESMITH_DATA=FOLDER python benchmarks/imbalance.py [--seeds 3] [--budget 60]

Real images made imbalanced: of CIFAR-10's classes, in a random order for each seed, the first keeps
all its training images and each further one 0.6 times as many as the one before, so that the last
has a hundredth of the first. The test part, 1,000 images of each class, stays as it is. Both
metrics train on the same images in the same time; each pair runs one after the other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.execution.machine import measure, versions

RESULTS = Path(__file__).parent / "results" / "imbalance.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
KEPT = 0.6  # images of a class, as a share of those of the class before
METRICS = ("accuracy", "balanced_accuracy")


def make_imbalanced(path: Path, seed: int) -> dict[str, int]:
    """Write a zip of what is kept; return how many training images of each class that is."""
    chance = np.random.default_rng(seed)
    with zipfile.ZipFile(FOLDER / "cifar10.zip") as whole, zipfile.ZipFile(path, "w") as part:
        by_folder: dict[str, list[str]] = {}
        for name in sorted(name for name in whole.namelist() if not name.endswith("/")):
            by_folder.setdefault(name.rpartition("/")[0], []).append(name)
        train = sorted(folder for folder in by_folder if "/train/" in folder)
        counts = {}
        for place, folder in enumerate(chance.permutation(train)):
            names = by_folder[folder]
            some = round(len(names) * KEPT**place)
            by_folder[folder] = list(chance.choice(names, some, replace=False))
            counts[folder.rpartition("/")[2]] = some
        for names in by_folder.values():
            for name in names:
                part.writestr(name, whole.read(name))
    return counts


def fit(source: Path, out: Path, metric: str, budget: int, seed: int) -> dict[str, float]:
    """One run; what it is worth by both metrics."""
    command = [
        *(sys.executable, "-m", "tunesmith", "fit", str(source), "--json", "--metric", metric),
        *("--budget", f"{budget}s", "--seed", str(seed), "--out", str(out)),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    evaluation = json.loads(done.stdout)["evaluation"]
    return {name: evaluation[name] for name in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=60)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "imbalanced.zip"
            counts = make_imbalanced(source, seed)
            for metric in METRICS:
                found = fit(source, Path(folder) / metric, metric, options.budget, seed)
                rows.append({"seed": seed, "trained_for": metric, **found, "counts": counts})
                print(json.dumps(rows[-1]))
    for metric in METRICS:
        values = [row["balanced_accuracy"] for row in rows if row["trained_for"] == metric]
        print(f"balanced accuracy, trained for {metric}: {statistics.median(values):.4f}")
    machine = measure(Path())
    content = {
        "hardware": {"cpu": machine.cpu, "cores": machine.cores},
        "versions": versions(),
        "budget_s": options.budget,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
