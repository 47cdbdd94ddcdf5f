"""Label errors found: on probabilities and human verdicts that others published.

    TUNESMITH_DATA=FOLDER python benchmarks/screening.py

FOLDER/label_errors holds, for the test parts of MNIST and CIFAR-10, out-of-sample probabilities,
the given labels, and what five people said of each suspected image (Northcutt, Athalye and Mueller
2021, "Pervasive label errors in test sets", arXiv:2103.14749). A label counts as wrong if fewer
than three of the five confirmed it.
"""

import json
import os
from pathlib import Path

import numpy as np

from tunesmith.screening.labels import rank_labels

RESULTS = Path(__file__).parent / "results" / "screening.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data")) / "label_errors"
CONFIRMED, FIRST = 3, 100


def label_errors(data: str) -> dict[str, float]:
    """What the ranking finds on one data set."""
    p_NK = np.load(FOLDER / f"{data}_test_set_pyx.npy")
    y_N = np.load(FOLDER / f"{data}_test_set_original_labels.npy").astype(np.int64)
    verdicts = json.loads((FOLDER / f"{data}_mturk.json").read_text())
    wrong = [v["id"] for v in verdicts if v["mturk"]["given"] < CONFIRMED]
    ranking = rank_labels(p_NK, y_N)
    suspected = ranking.places[ranking.suspected]
    return {
        "images": len(y_N),
        "wrong_labels": len(wrong),
        "suspected": len(suspected),
        "recall_of_suspected": round(float(np.isin(wrong, suspected).mean()), 3),
        "wrong_in_first_100": int(np.isin(ranking.places[:FIRST], wrong).sum()),
    }


def main() -> None:
    """Measure and write everything."""
    found = {"label_errors": {data: label_errors(data) for data in ("mnist", "cifar10")}}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
