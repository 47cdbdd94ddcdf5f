"""Whether a search ever hands over something worse than the plan's own settings.

    TUNESMITH_DATA=FOLDER python benchmarks/overtuning.py [--seeds 5] [--budget 60] [--trials 15]

20 small problems, each a few hundred or thousand images of some classes, all seeds on each: short
runs of `tunesmith.fit` with a search. The network that is handed over and the one that the plan's
own settings gave in the same run answer the same test images; McNemar's exact test says whether one
is worse than the other. Rows that are in the results already are kept.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import tunesmith as ts
from fit import revision, write_results
from tunesmith.core.seeds import derive
from tunesmith.data.source import Given, Source
from tunesmith.data.sources import open_source
from tunesmith.evaluation.compare import SURE, mcnemar
from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.stored import unpack
from tunesmith.jobs.search.shared import opened
from tunesmith.models.views import ManyViews, offered
from tunesmith.records import checkpoint as store
from tunesmith.records.journal import read_history

RESULTS = Path(__file__).parent / "results" / "overtuning.json"
SOURCES = ("mnist", "fashion-mnist", "cifar10", "digits")
SIZES, KINDS = (300, 600, 1200, 2400, 4000), (2, 5, 10)  # images to train on, classes
PROBLEMS = 20
TESTED = 2000  # images, at most
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
Row = dict[str, Any]


def problem(source: Source, number: int) -> tuple[Images, Images]:
    """Some images of some classes to train on, and others to test on."""
    chance = np.random.default_rng(derive(0, "problem", number))
    kinds = chance.permutation(len(source.classes))[: KINDS[number % len(KINDS)]]
    rows = chance.permutation(np.flatnonzero(np.isin(source.labels, kinds)))
    is_tested = source.given[rows] == Given.TEST
    if not is_tested.any():  # a source without a test part of its own
        is_tested = np.arange(len(rows)) < len(rows) // 4
    count = SIZES[number % len(SIZES)]
    return (
        _images(source, rows[~is_tested][:count], kinds),
        _images(source, rows[is_tested][:TESTED], kinds),
    )


def _images(source: Source, rows: NDArray[np.int64], kinds: NDArray[np.int64]) -> Images:
    pixels = np.stack([_pixels(source.read(int(row))) for row in rows])
    return pixels, np.searchsorted(np.sort(kinds), source.labels[rows]).astype(np.int64)


def _pixels(read: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image as an array; OpenCV decodes to BGR."""
    if not isinstance(read, bytes):
        return np.asarray(read)
    image = np.asarray(cv2.imdecode(np.frombuffer(read, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)
    return image[..., ::-1] if image.ndim > 2 else image


def plans_own(run: Path, x_NHWC: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Answers of the network with the plan's settings, as it would have been handed over."""
    shared = opened(run / "search" / "data")
    reference = read_history(run).trials[shared.family.name].checkpoint
    assert reference is not None
    weights = unpack(*store.load(run / "checkpoints", reference)).average
    channels = shared.data.x_NCHW.shape[1]
    network = shared.family.builder(
        shared.classes, channels, size=shared.chosen.size, params=shared.chosen.params
    )()
    network.load_state_dict(weights)
    views = offered(most=2, mirrored=shared.chosen.train.augmentation.flip)[-1]
    x_NCHW = torch.from_numpy(x_NHWC.reshape(*x_NHWC.shape[:3], channels)).permute(0, 3, 1, 2)
    many = ManyViews(network, views).eval()
    z_NK = logits(many, x_NCHW, normalize=shared.data.normalize, channels_last=True)
    answers: NDArray[np.int64] = z_NK.argmax(1)
    return answers


def measure(number: int, seed: int, *, budget: float, trials: int) -> Row:
    """One run on one problem."""
    name = SOURCES[number % len(SOURCES)]
    (x, y), (test_x, test_y) = problem(open_source(name), number)
    with tempfile.TemporaryDirectory() as folder:
        result = ts.fit(
            (x, y),
            test=(test_x, test_y),
            budget=budget,
            out=Path(folder) / "run",
            model="convnet",
            seed=seed,
            trials=trials,
            progress=False,
        )
        handed = ts.load(result.bundle).probabilities(test_x).argmax(1)
        right = [answers == test_y for answers in (handed, plans_own(result.folder, test_x))]
        opened.cache_clear()
    search = result.summary.search
    assert search is not None
    return {
        "revision": revision(),
        "problem": number,
        "data": name,
        "classes": len(np.unique(y)),
        "images": len(y),
        "tested": len(test_y),
        "seed": seed,
        "budget_s": budget,
        "plan": float(right[1].mean()),
        "handed": float(right[0].mean()),
        "chance": mcnemar(*right),
        "answers": search.answers,
        "luck": search.luck,
    }


def summary(rows: Sequence[Row]) -> str:
    """How often the handed network differs from the plan's own by more than chance."""
    sure = [row for row in rows if row["chance"] < SURE]
    worse = sum(row["handed"] < row["plan"] for row in sure)
    gain = float(np.mean([row["handed"] - row["plan"] for row in rows]))
    luck = [row["luck"] for row in rows if row["luck"] is not None]
    answers = [row["answers"] for row in rows]
    counts = ", ".join(f"{kind} {answers.count(kind)}" for kind in ("plan", "found", "together"))
    return (
        f"{len(rows)} runs: worse than the plan's own settings in {worse}, better in "
        f"{len(sure) - worse} (p < {SURE}); mean difference {100 * gain:+.2f} points; luck "
        f"{100 * float(np.mean(luck)):+.2f} points; who answers: {counts}"
    )


def main() -> None:
    """Measure what is missing, then print the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    os.environ.setdefault("TUNESMITH_DATA", "data")
    rows: list[Row] = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    there = {(row["problem"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for number in range(options.problems):
            if (number, seed) not in there:
                rows.append(measure(number, seed, budget=options.budget, trials=options.trials))
                write_results(options.out, rows)
    print(summary(rows))


if __name__ == "__main__":
    main()
