"""How much of a training's final result its beginning tells: freeze-thaw rests on it.

    TUNESMITH_DATA=FOLDER python benchmarks/early_curves.py [--configs 24] [--budget 20]

Of Fashion-MNIST and CIFAR-10, 5,000 random training images each. Random configs of the whole space
of `convnet` are trained as a search trains them, with a learning rate that does not fall, to 4, 10
and 25 % of a whole training. Each is then trained from scratch to the end, with a learning rate
that falls to zero. The record holds Spearman's rank correlation of the accuracies on held-out
images, with an interval from 2,000 bootstrap samples of the configs. A training that diverged has
accuracy 0. Rows that are in the results already are kept.
"""

import argparse
import json
import math
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

import tunesmith as ts
from backdoors import load
from fit import revision, write_results
from tunesmith import plan as planning
from tunesmith.core.settings import Settings
from tunesmith.core.space import Config
from tunesmith.jobs.search import shared, slices, space
from tunesmith.training.schedule import warmup_decay
from tunesmith.tuning.cube import decode

RESULTS = Path(__file__).parent / "results" / "early_curves.json"
PAGE = Path(__file__).parents[1] / "docs" / "tuning.md"
BEGIN, END = "<!-- benchmarks/early_curves.py writes this -->", "<!-- to here -->"
SOURCES = ("fashion", "cifar10")
IMAGES = 5000
EARLY, WHOLE = (4, 10, 25), 100  # percent of a training
BOOTSTRAP = 2000
Row = dict[str, Any]


def accuracies(search: Path, number: int, config: Config) -> Row:
    """Accuracy of a config after each share of a training, and after a whole one."""
    found = {}
    for begin, until in pairwise((0, *EARLY)):
        found[str(until)] = trained(search, f"{number}-early", config, begin, until)
    with patch.object(slices, "_constant", partial(warmup_decay, warmup=slices.WARMUP)):
        found[str(WHOLE)] = trained(search, f"{number}-whole", config, 0, WHOLE)
    return found


def trained(search: Path, name: str, config: Config, begin: int, until: int) -> float:
    """Accuracy of a config after a slice, 0 if it diverged."""
    folder = search / slices.TRIALS / name / "state"
    folder.mkdir(parents=True, exist_ok=True)
    if begin and not (folder / slices.STATE).exists():
        return 0.0
    with patch.object(planning, "UNITS", WHOLE):  # a search has fewer and longer slices
        value = slices.train(config, folder, begin, until)
    return value if math.isfinite(value) else 0.0


def measure(name: str, configs: int, budget: float) -> list[Row]:
    """All configs on one data set."""
    data = load(name)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        images = (data.x[:IMAGES], data.y[:IMAGES])
        ts.fit(images, budget=budget, out=run, model="convnet", trials=1, progress=False)
        job = shared.opened(run / "search" / shared.DATA)
        with patch.object(space, "UNITS", WHOLE):
            fields = space.training_space(job.family, job.chosen, Settings.make({}))
        rng = np.random.default_rng(0)
        points = [decode(fields, rng.random(len(fields))) for _ in range(configs)]
        rows = [
            {"data": name, "config": config, **accuracies(run / "search", number, config)}
            for number, config in enumerate(points)
        ]
        shared.opened.cache_clear()
    return [{"revision": revision(), "examples": job.examples, **row} for row in rows]


def correlation(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> float:
    """Spearman's, 0 where all values are equal."""
    found = float(spearmanr(one_N, other_N).statistic)
    return found if math.isfinite(found) else 0.0


def table(rows: list[Row]) -> str:
    """The correlations, with the intervals in which 95 % of the bootstrap samples are."""
    lines = ["| data | configs | images seen by a whole training | " + " | ".join(
        f"after {share} %" for share in EARLY
    ) + " |", "|---" * (3 + len(EARLY)) + "|"]  # fmt: skip
    for name in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == name]
        whole_N = np.array([row[str(WHOLE)] for row in here])
        cells = [name, str(len(here)), f"{here[0]['examples']:,}"]
        for share in EARLY:
            early_N = np.array([row[str(share)] for row in here])
            rng = np.random.default_rng(0)
            draws = [rng.integers(0, len(here), len(here)) for _ in range(BOOTSTRAP)]
            low, high = np.quantile(
                [correlation(early_N[i], whole_N[i]) for i in draws], (0.025, 0.975)
            )
            found = correlation(early_N, whole_N)
            cells.append(f"{found:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the correlations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=int, default=24)
    parser.add_argument("--budget", type=float, default=20.0)
    options = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    for name in SOURCES:
        if name not in {row["data"] for row in rows}:
            rows += measure(name, options.configs, options.budget)
            write_results(RESULTS, rows)
    print(table(rows))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
