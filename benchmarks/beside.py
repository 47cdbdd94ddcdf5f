"""What is left to a training when others run on the same cores.

    TUNESMITH_DATA=FOLDER python benchmarks/beside.py [--data fashion] [--budget 60] [--at-once 2]

One `tunesmith fit` alone, then several at the same time, each told that it has the whole budget. A
share of the cores for each would be fair; with as many threads as cores in each process, all wait
for threads that another process keeps from the cores.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fit import Row, run_ours, write_results

RESULTS = Path(__file__).parent / "results" / "beside.json"
SHOWN = ("at_once", "width", "epochs", "images_per_s", "accuracy", "wall_s")


def measure(data: str, budget: int, at_once: int) -> list[Row]:
    """One row for each of the processes that run at the same time."""
    with ThreadPoolExecutor(at_once) as pool:
        rows = pool.map(lambda seed: run_ours(data, budget, seed), range(at_once))
        return [{**row, "at_once": at_once} for row in rows]


def main() -> None:
    """Measure what is missing, then print all rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion")
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    for at_once in (1, options.at_once):
        asked = {"data": options.data, "budget_s": options.budget, "at_once": at_once}
        if not any(row.items() >= asked.items() for row in rows):
            rows += measure(options.data, options.budget, at_once)
            write_results(RESULTS, rows)
    for row in rows:
        print(", ".join(f"{name} {row[name]}" for name in SHOWN))


if __name__ == "__main__":
    main()
