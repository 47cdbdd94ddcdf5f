"""Which few configs to try first: a small portfolio for problems of many kinds.

    TUNESMITH_DATA=FOLDER python benchmarks/portfolio.py [--budget 30]

24 configs, the default and 23 drawn around it, are each trained from scratch on 8 small problems
made of real images (about 100 minutes; rows that are there are kept). The portfolio is grown
greedily: next comes the config that lowers the mean regret most, the regret of a problem being the
error of the portfolio's best over that of the best of all configs, less one. Published is the
regret on each problem of a portfolio that was grown without it.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fit import job_file, write_results
from tunesmith.core.pixels import decode

RESULTS = Path(__file__).parent / "results" / "portfolio.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
FASHION = "/usr/share/datasets/fashion-mnist"
CONFIGS, MEMBERS, TESTED = 24, 8, 3000
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
Config = Mapping[str, Mapping[str, Any]]
Row = dict[str, Any]


def read_zip(name: str, channels: int) -> dict[str, Images]:
    """Training and test part of a zip of class folders."""
    with zipfile.ZipFile(FOLDER / name) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith((".png", ".jpg")))
        classes = sorted({n.split("/")[-2] for n in names})
        parts: dict[str, Images] = {}
        for part in ("train", "test"):
            mine = [n for n in names if n.split("/")[-3] == part]
            x = np.stack([decode(archive.read(n), channels) for n in mine])
            parts[part] = x, np.array([classes.index(n.split("/")[-2]) for n in mine])
    return parts


def read_fashion() -> dict[str, Images]:
    """Training and test part of Fashion-MNIST."""
    from tunesmith.data.arrays import read_idx

    found = read_idx(Path(FASHION))
    x, is_test = np.asarray(found.images), found.is_test
    return {
        "train": (x[~is_test], found.labels[~is_test]),
        "test": (x[is_test], found.labels[is_test]),
    }


def some(images: Images, count: int) -> Images:
    """The same random images each time."""
    order = np.random.default_rng(0).permutation(len(images[1]))[:count]
    return images[0][order], images[1][order]


def noisy(images: Images, share: float) -> Images:
    """A share of the labels replaced by random ones."""
    chance = np.random.default_rng(1)
    wrong = chance.random(len(images[1])) < share
    return images[0], np.where(wrong, chance.integers(0, 10, len(wrong)), images[1])


def turned(images: Images) -> Images:
    """Each image turned by a random multiple of 90 degrees."""
    turns = np.random.default_rng(2).integers(0, 4, len(images[1]))
    return np.stack([np.rot90(x, t) for x, t in zip(images[0], turns, strict=True)]), images[1]


def problems() -> dict[str, Callable[[], tuple[Images, Images]]]:
    """Name -> training and test images."""
    mnist, cifar, fashion = read_zip("mnist.zip", 1), read_zip("cifar10.zip", 3), read_fashion()

    def make(
        data: Mapping[str, Images], count: int, change: Callable[[Images], Images] | None = None
    ) -> Callable[[], tuple[Images, Images]]:
        def build() -> tuple[Images, Images]:
            train, test = some(data["train"], count), some(data["test"], TESTED)
            return (change(train) if change else train), test

        return build

    return {
        "mnist 1,000": make(mnist, 1000),
        "mnist 10,000": make(mnist, 10_000),
        "fashion 3,000": make(fashion, 3000),
        "fashion 20,000": make(fashion, 20_000),
        "fashion 10,000, a fifth of the labels random": make(
            fashion, 10_000, lambda images: noisy(images, 0.2)
        ),
        "cifar10 500": make(cifar, 500),
        "cifar10 5,000": make(cifar, 5000),
        "cifar10 20,000, turned": make(cifar, 20_000, turned),
    }


def configs() -> list[Config]:
    """The default, and others drawn around it, always the same."""
    chance = np.random.default_rng(0)
    drawn: list[Config] = [{}]
    while len(drawn) < CONFIGS:
        kind = str(chance.choice(["muon", "muon", "sgd", "adamw"]))
        rate = {"muon": 0.127, "sgd": 0.2, "adamw": 0.002}[kind]
        train = {
            "optimizer": kind,
            "lr": round(float(rate * 4 ** chance.uniform(-1, 1)), 6),
            "label_smoothing": round(float(chance.choice([0.0, 0.1, 0.2])), 2),
            "warmup": round(float(chance.choice([0.0, 0.1])), 2),
            "ema_decay": round(float(chance.choice([0.8, 0.9, 0.95])), 2),
        }
        if kind != "muon":
            train |= {"momentum": 0.9, "weight_decay": float(chance.choice([0.0, 5e-4, 0.05]))}
        params = {
            "width": int(chance.choice([8, 12, 16, 24, 32])),
            "depth": int(chance.choice([1, 2, 2, 3])),
            "activation": str(chance.choice(["gelu", "relu", "silu"])),
            "dropout": round(float(chance.choice([0.0, 0.0, 0.2])), 2),
        }
        drawn.append({"train": train, "params": params})
    return drawn


def run(source: Path, config: Config, budget: int) -> float:
    """Test error of one `tunesmith fit`."""
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.toml"
        job.write_text(job_file(config))
        command = [
            *(
                sys.executable,
                "-m",
                "tunesmith",
                "fit",
                str(source),
                "--json",
                "--model",
                "convnet",
            ),
            *("--budget", f"{budget}s", "--config", str(job), "--out", f"{folder}/run"),
        ]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    return 1 - float(json.loads(done.stdout)["score"]["value"])


def regrets(error_CP: NDArray[np.float64], members: Sequence[int]) -> NDArray[np.float64]:
    """Regret of a portfolio on each problem; half an image in error counts as the least."""
    least = 0.5 / TESTED
    ratio_P: NDArray[np.float64] = (error_CP[list(members)].min(axis=0) + least) / (
        error_CP.min(axis=0) + least
    )
    return ratio_P - 1


def grow(error_CP: NDArray[np.float64], count: int) -> list[int]:
    """Choose configs greedily."""
    chosen: list[int] = []
    while len(chosen) < count:
        rest = [c for c in range(len(error_CP)) if c not in chosen]
        chosen.append(min(rest, key=lambda c: regrets(error_CP, [*chosen, c]).mean()))
    return chosen


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """The portfolio of all problems, and the regret of portfolios on problems left out."""
    names = list(dict.fromkeys(row["problem"] for row in rows))
    error_CP = np.full((CONFIGS, len(names)), np.nan)
    for row in rows:
        error_CP[row["config"], names.index(row["problem"])] = row["error"]
    left_out = {}
    for place, name in enumerate(names):
        others = np.delete(error_CP, place, axis=1)
        left_out[name] = {
            size: round(float(regrets(error_CP, grow(others, size))[place]), 3)
            for size in (1, 2, 4, 8)
        }
    drawn = configs()
    return {
        "portfolio": [drawn[c] for c in grow(error_CP, MEMBERS)],
        "regret_left_out": left_out,
        "regret_of_default": dict(
            zip(names, regrets(error_CP, [0]).round(3).tolist(), strict=True)
        ),
    }


def main() -> None:
    """Measure what is missing; with all rows there, grow the portfolio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=30)
    budget = parser.parse_args().budget
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    there = {(row["problem"], row["config"]) for row in rows}
    for (name, build), (number, config) in itertools.product(
        problems().items(), enumerate(configs())
    ):
        if (name, number) in there:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "problem.npz"
            (x, y), (x_test, y_test) = build()
            np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
            error = run(path, config, budget)
        rows.append({"problem": name, "config": number, "budget_s": budget, "error": error})
        write_results(RESULTS, rows)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
