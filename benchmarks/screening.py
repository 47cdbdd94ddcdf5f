"""What the data gate finds, on real data with planted faults and on verdicts that others published.

    TUNESMITH_DATA=FOLDER python benchmarks/screening.py [--parts copies,mirrored,...]

FOLDER holds ``mnist.zip``, ``cifar10.zip`` and ``label_errors``; Fashion-MNIST is read from its IDX
files. Parts that are in the results already are kept, so that the command can be repeated.

- verdicts: out-of-sample probabilities, the given labels, and what five people said of each
  suspected image of a test part (Northcutt, Athalye and Mueller 2021, "Pervasive label errors in
  test sets", arXiv:2103.14749). A label counts as wrong if fewer than three of five confirmed it.
- copies: of 4,000 random images a copy each is added, re-encoded as JPEG (quality 50 to 90),
  shifted by up to two pixels, brightened (gain 0.7 to 1.3, offset up to 25) or resized (to 60 to
  90 % and back). Found is a copy that is paired with its original. Images in pairs that were not
  planted are an upper bound of false alarms: real copies are among them.
- several: the same with eight copies each of 500 images, two of each kind; found is a copy that is
  in one group with its original.
- mirrored: the same with 1,000 mirror images, re-encoded. Pairs that were not planted should bear
  one label: chance pairs of ten classes would do so in one case of ten.
- cropped: the same with 2,000 crops among 20,000 images, brought back to the size of the whole: 3
  to 15 % of each side cut off, or the middle 70 to 90 %.
- noise: labels of some images are replaced by random others; the area under the ROC curve of our
  own ranking, from leave-one-out answers on a pretrained network's features.
- time: the whole of `tunesmith check`, as a process.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fit import revision
from tunesmith.data.clean import merged
from tunesmith.data.sources import open_source
from tunesmith.evaluation.areas import area_with_interval
from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.ridge import fit_ridge
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.jobs.deep.deep import see
from tunesmith.jobs.gate.alike import Depth, find_alike
from tunesmith.jobs.gate.crops import crops
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.look import look
from tunesmith.records.cache import Cache
from tunesmith.report.terminal import Terminal
from tunesmith.screening.colors import same_colors
from tunesmith.screening.copies import comparable, find_copies, find_mirrored
from tunesmith.screening.labels import rank_labels

RESULTS = Path(__file__).parent / "results" / "screening.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
SOURCES = {
    "mnist": str(FOLDER / "mnist.zip"),
    "cifar10": str(FOLDER / "cifar10.zip"),
    "fashion": "fashion-mnist",
}
CONFIRMED, FIRST = 3, 100
PLANTED = 1000  # copies of each kind
SEVERAL = 2  # of each kind, of one image
AMONG = 20_000  # images, each of which a network has to see
NOISE = (0.05, 0.1, 0.2)
NOWHERE = Terminal(budget=math.inf, log_path=Path(os.devnull), quiet=True)
Image = NDArray[np.uint8]
Change = Callable[[Image, np.random.Generator], Image]
Pairs = NDArray[np.int64]  # places of images that are the same, [P, 2], the smaller first
Rows = dict[str, Any]


def decoded(name: str) -> Data:
    """All images of a data set, as the check decodes them."""
    with tempfile.TemporaryDirectory() as folder:
        return look(open_source(SOURCES[name]), Path(folder), Cache(None), NOWHERE)


def verdicts() -> Rows:
    """What the ranking of labels finds of the errors that people confirmed."""
    return {name: _verdicts(name) for name in ("mnist", "cifar10")}


def _verdicts(data: str) -> Rows:
    folder = FOLDER / "label_errors"
    p_NK = np.load(folder / f"{data}_test_set_pyx.npy")
    y_N = np.load(folder / f"{data}_test_set_original_labels.npy").astype(np.int64)
    said = json.loads((folder / f"{data}_mturk.json").read_text())
    wrong = [v["id"] for v in said if v["mturk"]["given"] < CONFIRMED]
    ranking = rank_labels(p_NK, y_N)
    suspected = ranking.places[ranking.suspected]
    return {
        "images": len(y_N),
        "wrong_labels": len(wrong),
        "suspected": len(suspected),
        "recall_of_suspected": round(float(np.isin(wrong, suspected).mean()), 3),
        "wrong_in_first_100": int(np.isin(ranking.places[:FIRST], wrong).sum()),
    }


def _jpeg(x_HWC: Image, chance: np.random.Generator) -> Image:
    quality = int(chance.integers(50, 91))
    encoded = cv2.imencode(".jpg", x_HWC, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), np.uint8)


def _shifted(x_HWC: Image, chance: np.random.Generator) -> Image:
    down, across = 0, 0
    while not (down or across):
        down, across = chance.integers(-2, 3, 2)
    moved = np.array([[1, 0, across], [0, 1, down]], np.float32)
    size = x_HWC.shape[1], x_HWC.shape[0]
    return np.asarray(cv2.warpAffine(x_HWC, moved, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _brightened(x_HWC: Image, chance: np.random.Generator) -> Image:
    changed = x_HWC.astype(np.float32) * chance.uniform(0.7, 1.3) + chance.uniform(-25, 25)
    return np.asarray(changed.clip(0, 255), np.uint8)


def _resized(x_HWC: Image, chance: np.random.Generator) -> Image:
    height, width = x_HWC.shape[:2]
    factor = chance.uniform(0.6, 0.9)
    size = round(width * factor), round(height * factor)
    small = cv2.resize(x_HWC, size, interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def _mirrored(x_HWC: Image, chance: np.random.Generator) -> Image:
    return _jpeg(np.ascontiguousarray(x_HWC[:, ::-1]), chance)


def _cut(x_HWC: Image, chance: np.random.Generator) -> Image:
    height, width = x_HWC.shape[:2]
    top, bottom = np.rint(height * chance.uniform(0.03, 0.15, 2)).astype(int)
    left, right = np.rint(width * chance.uniform(0.03, 0.15, 2)).astype(int)
    kept = x_HWC[top : height - bottom, left : width - right]
    return np.asarray(cv2.resize(kept, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _middle(x_HWC: Image, chance: np.random.Generator) -> Image:
    height, width = x_HWC.shape[:2]
    size = np.rint(chance.uniform(0.7, 0.9) * np.array([width, height])).astype(int).tolist()
    kept = cv2.getRectSubPix(x_HWC, size, ((width - 1) / 2, (height - 1) / 2))
    return np.asarray(cv2.resize(kept, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


COPIED: Mapping[str, Change] = {
    "re-encoded": _jpeg,
    "shifted": _shifted,
    "brightened": _brightened,
    "resized": _resized,
}
MIRRORED: Mapping[str, Change] = {"mirrored": _mirrored}
CROPPED: Mapping[str, Change] = {"cut": _cut, "middle": _middle}


def copies() -> Rows:
    """Planted copies found, and what else is called a copy."""
    return {name: _planted(name, COPIED, _near) for name in SOURCES}


def several() -> Rows:
    """Planted copies found where each image has many."""
    return {name: _planted(name, COPIED, _near, times=SEVERAL) for name in SOURCES}


def mirrored() -> Rows:
    """Planted mirror images found, and what else is called one."""
    return {name: _planted(name, MIRRORED, _turned) for name in SOURCES}


def cropped() -> Rows:
    """Planted crops found, and what else is called one."""
    return {name: _planted(name, CROPPED, _parts, among=AMONG) for name in SOURCES}


def _gray(data: Data) -> Image:
    return comparable(data.loaded.pixels, np.arange(len(data.loaded.pixels)))


def _near(data: Data) -> Pairs:
    pairs_P2 = find_copies(_gray(data))
    return pairs_P2[same_colors(data.loaded.pixels, pairs_P2)]


def _turned(data: Data) -> Pairs:
    pairs_P2 = find_mirrored(_gray(data))
    return pairs_P2[same_colors(data.loaded.pixels, pairs_P2, mirrored=True)]


def _parts(data: Data) -> Pairs:
    alike = find_alike(data, Depth.EXACT)
    return np.sort(crops(data, alike, see(data, Cache(None), NOWHERE), Cache(None)), axis=1)


def _with_copies(data: Data, originals: NDArray[np.int64], planted: Image) -> Data:
    loaded = data.loaded
    more = replace(
        loaded,
        pixels=np.concatenate([loaded.pixels, planted]),
        kept=np.append(loaded.kept, loaded.kept[originals]),
        shapes=np.concatenate([loaded.shapes, loaded.shapes[originals]]),
        examined=(),
    )
    return Data(source=data.source, loaded=more)


def _some(data: Data, count: int) -> Data:
    rows = np.sort(np.random.default_rng(0).permutation(len(data.labels))[:count])
    loaded = data.loaded
    fewer = replace(
        loaded,
        pixels=loaded.pixels[rows],
        kept=loaded.kept[rows],
        shapes=loaded.shapes[rows],
        examined=(),
    )
    return Data(source=data.source, loaded=fewer)


def _planted(
    name: str,
    changes: Mapping[str, Change],
    search: Callable[[Data], Pairs],
    *,
    times: int = 0,
    among: int | None = None,
) -> Rows:
    data = decoded(name) if among is None else _some(decoded(name), among)
    x_NHWC, chance = data.loaded.pixels, np.random.default_rng(0)
    n, shape = len(x_NHWC), x_NHWC.shape[1:]
    each = max(1, times * len(changes))  # copies of one image
    originals = np.tile(chance.permutation(n)[: PLANTED * len(changes) // each], each)
    kinds = np.repeat(list(changes), PLANTED)
    planted = np.stack(
        [
            changes[kind](x_NHWC[place], chance).reshape(shape)
            for place, kind in zip(originals, kinds, strict=True)
        ]
    )
    both = _with_copies(data, originals, planted)
    began = time.perf_counter()
    found = search(both)
    seconds = time.perf_counter() - began
    group_N = merged(np.arange(len(both.labels)), found)
    is_found = group_N[originals] == group_N[n:]
    real = found[(found < n).all(axis=1)]
    crossing = real[data.tested[real[:, 0]] != data.tested[real[:, 1]]]
    tested = crossing[data.tested[crossing]]
    return {
        "images": n,
        "seconds": round(seconds, 1),
        "found": {kind: round(float(is_found[kinds == kind].mean()), 4) for kind in changes},
        "found_of_all": round(float(is_found.mean()), 4),
        "pairs_not_planted": len(real),
        "of_these_of_one_label": int((np.ptp(data.labels[real], axis=1) == 0).sum()),
        "not_planted_but_paired": round(len(np.unique(real)) / n, 5),
        "test_images_with_a_copy_in_training": len(np.unique(tested)),
        "of_test_images": int(data.tested.sum()),
    }


def noise() -> Rows:
    """How well wrong labels are told from right ones."""
    return {name: _noise(name) for name in ("mnist", "cifar10")}


def _noise(name: str) -> Rows:
    data = decoded(name)
    y_N, classes = data.labels, len(data.source.classes)
    began = time.perf_counter()
    f_ND = see(data, Cache(None), NOWHERE)
    rows: Rows = {"images": len(y_N), "seconds_of_seeing": round(time.perf_counter() - began, 1)}
    for share in NOISE:
        chance = np.random.default_rng(0)
        is_wrong_N = chance.random(len(y_N)) < share
        other_N = (y_N + chance.integers(1, classes, len(y_N))) % classes
        given_N = np.where(is_wrong_N, other_N, y_N)
        ranking = rank_labels(
            softmax(fit_ridge(f_ND, given_N, classes, alike=True).z_NK, 1.0), given_N
        )
        area, low, high = area_with_interval(-ranking.margins, is_wrong_N[ranking.places])
        suspected = is_wrong_N[ranking.places[ranking.suspected]]
        rows[f"{share:.0%}"] = {
            "auroc": round(area, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "suspected": len(suspected),
            "of_these_wrong": round(float(suspected.mean()), 4),
        }
    return rows


def timed() -> Rows:
    """Time and memory of whole checks."""
    return {name: _timed(source) for name, source in SOURCES.items()}


def _timed(source: str) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tunesmith", "check", source, "--json", "--out", folder]
        began = time.monotonic()
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        wall_s = time.monotonic() - began
    found = json.loads(done.stdout)
    # Of all processes so far the largest: the checks come last, and in the order of their size.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "images": found["images"],
        "wall_s": round(wall_s, 1),
        "phases": found["seconds"],
        "peak_of_largest_so_far_mb": round(peak / 1e6),
        "findings": [finding["title"] for finding in found["findings"]],
    }


PARTS: dict[str, Callable[[], Rows]] = {
    "verdicts": verdicts,
    "copies": copies,
    "several": several,
    "mirrored": mirrored,
    "cropped": cropped,
    "noise": noise,
    "time": timed,
}


def main() -> None:
    """Measure what is missing and write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS))
    wanted = parser.parse_args().parts.split(",")
    found: Rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in wanted:
        if name not in found:
            found[name] = PARTS[name]()
            found.setdefault("revisions", {})[name] = revision()
            found["hardware"] = measure_machine(RESULTS).cpu
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
