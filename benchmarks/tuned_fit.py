"""`fit` with a search against `fit` without one, or with one that leaves the structure as it is.

    TUNESMITH_DATA=FOLDER python benchmarks/tuned_fit.py [--rows fashion:600,digits:600] [--seeds 3]
        [--compare structure | own]

Whole processes as in ``fit.py``, at the same budget. Where that is under three times what the
recipe needs, the two compared are the same program, and their difference is noise. With ``--compare
structure`` all train from scratch and search; with ``--compare own`` all train the network of
``small_network.py``: searched, searched but for the network's own parameters, and not searched.
Rows that are in the results already are kept; the variants of one data set and seed are run one
after the other.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fit import run_ours, write_results
from tunesmith.models.build import find_family

RESULTS = Path(__file__).parent / "results" / "tuned_fit.json"
ROWS = (
    "mnist-300:600,cifar10-300:600,digits:1800,cifar10-1000:1800,"
    "fashion:600,fashion:1800,cifar10:600,cifar10:1800"
)
OWN = f"{Path(__file__).with_name('small_network.py')}:build"
DEFAULTS = {name: field.default for name, field in find_family(OWN).space.items()}
PLAIN = {"block": "plain", "pooling": "max", "head": "max", "resolution_multiplier": 1.0}
Variants = Mapping[str, Mapping[str, Any]]
COMPARED: Mapping[str, Variants] = {
    "search": {"as it decides": {}, "no search": {"settings": {"trials": 0}}},
    "structure": {
        "structure searched": {"model": "convnet"},
        "structure fixed": {"model": "convnet", "settings": {"params": PLAIN}},
    },
    "own": {
        "own network, searched": {"model": OWN},
        "own network, its parameters fixed": {"model": OWN, "settings": {"params": DEFAULTS}},
        "own network, no search": {"model": OWN, "settings": {"trials": 0}},
    },
}
Row = dict[str, Any]


def table(rows: Sequence[Row], variants: Variants) -> str:
    """Accuracies by data, budget and variant, and the gains of the first variant on the others."""
    first, *others = variants
    lines = []
    for data, budget in dict.fromkeys((row["data"], row["budget_s"]) for row in rows):
        here = [row for row in rows if (row["data"], row["budget_s"]) == (data, budget)]
        by = {(row["variant"], row["seed"]): row for row in here}
        seeds = sorted({seed for _, seed in by if all((name, seed) in by for name in variants)})
        if not seeds:
            continue
        shares = {n: [100 * by[n, seed]["accuracy"] for seed in seeds] for n in variants}
        trials = [by[first, seed]["trials"] for seed in seeds]
        told = [f"{first} {statistics.median(shares[first]):.2f} %, trials {trials}"]
        for other in others:
            gains = [one - two for one, two in zip(shares[first], shares[other], strict=True)]
            told.append(
                f"{other} {statistics.median(shares[other]):.2f} %, gain {min(gains):+.2f} to "
                f"{max(gains):+.2f}"
            )
        lines.append(f"{data}, {budget} s, {len(seeds)} seeds: {'; '.join(told)}")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--compare", choices=COMPARED, default="search")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    variants = COMPARED[options.compare]
    rows: list[Row] = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    there = {(row["variant"], row["data"], row["budget_s"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for text in options.rows.split(","):
            data, budget = text.split(":")
            for variant, how in variants.items():
                if (variant, data, int(budget), seed) not in there:
                    row = run_ours(data, int(budget), seed, **how)
                    rows.append({"variant": variant, **row})
                    write_results(options.out, rows)
    print(table(rows, variants))


if __name__ == "__main__":
    main()
