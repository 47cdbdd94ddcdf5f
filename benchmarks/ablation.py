"""What each part of the training is worth: the same job at equal time, with one thing changed.

    TUNESMITH_DATA=FOLDER python benchmarks/ablation.py [--rows cifar10:120,fashion:120] [--seeds 2]

Every row is a whole `tunesmith fit` as in ``fit.py``, with the setting that its name says: from
scratch, except for those that use the pretrained network, alone or in a race with the other. The
width is chosen anew each time, as it would be for a user. Rows that are in the results already are
kept, so that the command can be interrupted and repeated; all variants of one data set and seed are
run one after another, so that a slow hour of the machine slows them alike.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fit import run_ours, write_results
from tunesmith.training.config import RECIPES

RESULTS = Path(__file__).parent / "results" / "ablation.json"
Settings = Mapping[str, Mapping[str, Any]]
AS_IT_IS = "as it is"
VARIANTS: Mapping[str, Settings] = {
    AS_IT_IS: {},
    "full size all the time": {"train": {"early_scale": 1.0}},
    "no weight averaging": {"train": {"ema_decay": 0.0}},
    "SGD": {"train": {"optimizer": "sgd", **RECIPES["sgd"]}},
    "AdamW": {"train": {"optimizer": "adamw", **RECIPES["adamw"]}},
    "momentum 0.9": {"train": {"momentum": 0.9}},
    "batch 512": {"train": {"batch": 512}},
    "label smoothing 0.1": {"train": {"label_smoothing": 0.1}},
    "ReLU": {"params": {"activation": "relu"}},
    "SiLU": {"params": {"activation": "silu"}},
    "three convolutions a group": {"params": {"depth": 3}},
    "residual blocks": {"params": {"block": "residual", "depth": 1}},
    "average pooling": {"params": {"pooling": "average"}},
    "strided convolutions": {"params": {"pooling": "stride"}},
    "head on averages": {"params": {"head": "average"}},
    "head on maxima and averages": {"params": {"head": "both"}},
    "three quarters of the resolution": {"params": {"resolution_multiplier": 0.75}},
    "no changes of images": {"train": {"augmentation": {}}},
    "pretrained": {},
    "both, as by default": {},
}  # fmt: skip
MODELS = {"pretrained": "efficientnet_lite0", "both, as by default": "auto"}
Row = dict[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Median accuracy of each variant, and the difference to the training as it is."""
    lines = []
    for data, budget in dict.fromkeys((r["data"], r["budget_s"]) for r in rows):
        here = [r for r in rows if (r["data"], r["budget_s"]) == (data, budget)]
        by_seed = {r["seed"]: r["accuracy"] for r in here if r["variant"] == AS_IT_IS}
        lines.append(f"{data}, {budget} s")
        for variant in dict.fromkeys(r["variant"] for r in here):
            mine = [r for r in here if r["variant"] == variant and r["seed"] in by_seed]
            if not mine:
                continue
            gain = statistics.median(r["accuracy"] - by_seed[r["seed"]] for r in mine)
            accuracy = statistics.median(r["accuracy"] for r in mine)
            lines.append(f"  {variant:32} {100 * accuracy:6.2f}  {100 * gain:+.2f}  {len(mine)}")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="cifar10:120,fashion:120,mnist:60")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    there = {(r["data"], r["budget_s"], r["seed"], r["variant"]) for r in rows}
    wanted = itertools.product(range(options.seeds), options.rows.split(","), VARIANTS.items())
    for seed, text, (variant, settings) in wanted:
        data, budget = text.split(":")
        if (data, int(budget), seed, variant) not in there:
            model = MODELS.get(variant, "convnet")
            found = run_ours(data, int(budget), seed, model=model, settings=settings)
            rows.append({**found, "variant": variant})
            write_results(RESULTS, rows)
    print(table(rows))


if __name__ == "__main__":
    main()
