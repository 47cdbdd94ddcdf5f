"""Backdoors planted in real data: what the deep check finds, and what is left after cleaning.

    TUNESMITH_DATA=FOLDER python benchmarks/backdoors.py [--data mnist] [--rows ...] [--train]

FOLDER holds ``mnist.zip`` and ``cifar10.zip``. Of each 10,000 random training images are used.
Attacks, each on a share of the images to learn from:

- patch: a 3 x 3 pattern in the corner, the label that of the target (BadNets, Gu, Dolan-Gavitt and
  Garg 2017, arXiv:1708.06733);
- square, square5, square8: a plain white square of 3 x 3, 5 x 5 or 8 x 8 pixels in its place;
- colors5: a pattern of 5 x 5 random colors in its place;
- all-to-all: the same pattern, each label the next one;
- blended: a fixed random picture shows through with a weight of 0.15, or of 0.07 if faint, the
  label that of the target (Chen et al. 2017, arXiv:1712.05526);
- sinusoid: waves of 20 gray levels, or of 8 if faint, over images of the target, whose label stays
  right (Barni, Kallas and Tondi 2019, arXiv:1902.11237).

Three attacks are not expected to be found, or only in part: two have nothing that is the same at
one place of many images, and the parts of a checkerboard are frequent at more than one place.

- checks5: a checkerboard of 5 x 5 pixels in the place of the pattern;
- wandering: the pattern of patch at a random place in each image;
- warped: the image is bent a little, all images by the same smooth random field (WaNet, Nguyen and
  Tran 2021, arXiv:2102.10369, with their grid of 4 x 4 and strength of 0.5).

Found is a poisoned image that quarantine.csv of `tunesmith check --deep` lists; false alarms are
listed images that nobody touched. Apart is how far apart, for the pretrained network, the two
groups of a class stand: of the target, and at most of all others. Neighbors is what would be found
by calling images suspect that all ten nearest ones, by the pretrained network, contradict in the
same way.

With ``--train``, `tunesmith cleanse` trains twice for a minute: on the poisoned images as they are,
and without what is listed, now also by the first network. Success is the share of triggered test
images of other classes, of 4,000 test images, that a network answers as the attacker wants; in
brackets in the record, by the trigger that the check read from the images. Rows that are there
already are kept. Beside it, what five networks answer that were trained on the images before
anybody touched them: a trigger that covers the whole image may lead some of them to the target too.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, final

import cv2
import numpy as np
from numpy.typing import NDArray

import tunesmith as ts
from fit import revision
from screening import NOWHERE, decoded
from tunesmith.bundle.manifest import read_manifest
from tunesmith.data.source import Given
from tunesmith.data.sources import open_source
from tunesmith.jobs.check import CheckResult
from tunesmith.jobs.deep.deep import see
from tunesmith.jobs.deep.trained import bundle_of
from tunesmith.jobs.gate.look import look
from tunesmith.records.cache import Cache
from tunesmith.screening.neighbors import nearest

RESULTS = Path(__file__).parent / "results" / "backdoors.json"
ROWS = (
    "patch:0,patch:0.005,patch:0.01,patch:0.05,square:0.01,square:0.05,all-to-all:0.05,blended:0.01,blended:0.05,"
    "blended-faint:0.05,sinusoid:0.01,sinusoid:0.05,sinusoid-faint:0.05,"
    "square5:0.01,square5:0.05,square8:0.01,square8:0.05,colors5:0.005,colors5:0.01,"
    "checks5:0.01,checks5:0.05,wandering:0.01,wandering:0.05,warped:0.01,warped:0.05"
)
TRAINED = "patch:0.01,patch:0.05,square:0.05,all-to-all:0.05,blended:0.05,sinusoid:0.05"
NEIGHBORS, ASKED = "patch:0,patch:0.01,blended:0.05", 10
USED, TESTED, TARGET, CLASSES = 10_000, 4000, 0, 10
BUDGET_S, CLEAN_SEEDS = 60, 5
PATTERN = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Row = dict[str, Any]


def patched(x_NHWC: Images) -> Images:
    x_NHWC = x_NHWC.copy()
    x_NHWC[:, -4:-1, -4:-1] = PATTERN[..., None]
    return x_NHWC


def squared(x_NHWC: Images, side: int = 3) -> Images:
    x_NHWC = x_NHWC.copy()
    x_NHWC[:, -1 - side : -1, -1 - side : -1] = 255
    return x_NHWC


def colored(x_NHWC: Images) -> Images:
    x_NHWC = x_NHWC.copy()
    colors = np.random.default_rng(7).integers(0, 256, (5, 5, x_NHWC.shape[3]))
    x_NHWC[:, -6:-1, -6:-1] = colors
    return x_NHWC


def checked(x_NHWC: Images) -> Images:
    x_NHWC = x_NHWC.copy()
    x_NHWC[:, -6:-1, -6:-1] = 255 * (np.indices((5, 5, 1)).sum(axis=0) % 2)
    return x_NHWC


def wandering(x_NHWC: Images) -> Images:
    x_NHWC = x_NHWC.copy()
    side = min(x_NHWC.shape[1:3]) - len(PATTERN)
    corners_N2 = np.random.default_rng(7).integers(0, side + 1, (len(x_NHWC), 2))
    for x_HWC, (top, left) in zip(x_NHWC, corners_N2, strict=True):
        x_HWC[top : top + 3, left : left + 3] = PATTERN[..., None]
    return x_NHWC


def warped(x_NHWC: Images, grid: int = 4, strength: float = 0.5) -> Images:
    _, height, width, channels = x_NHWC.shape
    field = np.random.default_rng(7).uniform(-1, 1, (grid, grid, 2))
    field = cv2.resize(field / np.abs(field).mean(), (width, height), interpolation=cv2.INTER_CUBIC)
    # The field is in units of the image from -1 to 1, and divided by the side.
    places = np.indices((height, width)).transpose(1, 2, 0) + strength * field / 2
    y_HW, x_HW = np.moveaxis(places.astype(np.float32), 2, 0)
    bent = [
        cv2.remap(x_HWC, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for x_HWC in x_NHWC
    ]
    return np.asarray(bent, np.uint8).reshape(-1, height, width, channels)


def blended(x_NHWC: Images, weight: float = 0.15) -> Images:
    picture = np.random.default_rng(7).integers(0, 256, x_NHWC.shape[1:])
    return np.rint((1 - weight) * x_NHWC + weight * picture).astype(np.uint8)


def waved(x_NHWC: Images, levels: int = 20) -> Images:
    turns_W1 = 2 * np.pi * 6 * np.arange(x_NHWC.shape[2])[:, None] / x_NHWC.shape[2]
    return np.asarray((x_NHWC + levels * np.sin(turns_W1)).clip(0, 255), np.uint8)


def to_target(y_N: Labels) -> Labels:
    return np.full_like(y_N, TARGET)


@final
@dataclass(frozen=True)
class Attack:
    """How images are changed, which label they get, and whether only the target's are poisoned."""

    change: Callable[[Images], Images]
    relabel: Callable[[Labels], Labels]
    keeps_labels: bool = False


ATTACKS = {
    "patch": Attack(patched, to_target),
    "square": Attack(squared, to_target),
    "square5": Attack(partial(squared, side=5), to_target),
    "square8": Attack(partial(squared, side=8), to_target),
    "colors5": Attack(colored, to_target),
    "all-to-all": Attack(patched, lambda y: (y + 1) % CLASSES),
    "blended": Attack(blended, to_target),
    "blended-faint": Attack(partial(blended, weight=0.07), to_target),
    "sinusoid": Attack(waved, to_target, keeps_labels=True),
    "sinusoid-faint": Attack(partial(waved, levels=8), to_target, keeps_labels=True),
    "checks5": Attack(checked, to_target),
    "wandering": Attack(wandering, to_target),
    "warped": Attack(warped, to_target),
}


@final
@dataclass(frozen=True, kw_only=True)
class Data:
    """Images and labels to learn from, and to test on."""

    x: Images
    y: Labels
    x_test: Images
    y_test: Labels


def load(name: str) -> Data:
    """Some images of the training and of the test part."""
    found = decoded(name)
    given_N, pixels = found.source.given[found.loaded.kept], found.loaded.pixels
    train = np.random.default_rng(0).permutation(np.flatnonzero(given_N == Given.TRAIN))[:USED]
    test = np.random.default_rng(0).permutation(np.flatnonzero(found.tested))[:TESTED]
    return Data(
        x=pixels[train],
        y=found.labels[train],
        x_test=pixels[test],
        y_test=found.labels[test],
    )


def poison(data: Data, attack: Attack, share: float) -> tuple[Images, Labels, NDArray[np.bool_]]:
    """Poison some images; also tells which."""
    chance = np.random.default_rng(1)
    able = data.y == TARGET if attack.keeps_labels else data.y != TARGET
    chosen = chance.permutation(np.flatnonzero(able))[: round(share * len(data.y))]
    x_NHWC, y_N = data.x.copy(), data.y.copy()
    x_NHWC[chosen], y_N[chosen] = attack.change(x_NHWC[chosen]), attack.relabel(y_N[chosen])
    return x_NHWC, y_N, np.isin(np.arange(len(y_N)), chosen)


def success(model: Path, data: Data, attack: Attack) -> float:
    """Share of triggered test images of other classes that are answered as the attacker wants."""
    wanted_N = attack.relabel(data.y_test)
    others_N = data.y_test != wanted_N
    p_NK = ts.load(bundle_of(model)).probabilities(attack.change(data.x_test[others_N]))
    return round(float((p_NK.argmax(axis=1) == wanted_N[others_N]).mean()), 4)


def listed(result: CheckResult, count: int) -> NDArray[np.bool_]:
    """Which images to learn from a check proposes to leave out."""
    with result.quarantine.open(encoding="utf-8") as file:
        places = [int(row["file"][1:]) for row in csv.DictReader(file)]
    return np.isin(np.arange(count), places)


def said(result: CheckResult, is_poisoned_N: NDArray[np.bool_]) -> Row:
    """What a check found of what is to be found."""
    listed_N, poisoned = listed(result, len(is_poisoned_N)), np.flatnonzero(is_poisoned_N)
    names = {f"#{place}" for place in poisoned}
    scores = [look.apart for look in result.checked.classes]
    return {
        "poisoned": len(poisoned),
        "found": round(float(listed_N[poisoned].mean()), 4) if len(poisoned) else None,
        "found_by": {
            each.kind: len(names.intersection(item.file for item in each.items))
            for each in result.checked.findings
            if each.is_suspect
        },
        "false_alarms": round(float(listed_N[~is_poisoned_N].mean()), 5),
        "apart": {
            "pretrained network" if number == 0 else "trained network": {
                "target": scores[TARGET][network] or 0.0,
                "others": max(s[network] or 0.0 for k, s in enumerate(scores) if k != TARGET),
            }
            for number, network in enumerate(scores[TARGET])
        },
    }


def measure(data: Data, attack: Attack, share: float) -> Row:
    """What the deep check finds."""
    x_NHWC, y_N, is_poisoned_N = poison(data, attack, share)
    with tempfile.TemporaryDirectory() as folder:
        result = ts.check((x_NHWC, y_N), deep=True, out=Path(folder) / "check", progress=False)
        seconds = round(sum(result.checked.seconds.values()), 1)
        return {**said(result, is_poisoned_N), "seconds": seconds}


def measure_cleansed(data: Data, attack: Attack, share: float) -> Row:
    """What is left of a backdoor after cleaning."""
    x_NHWC, y_N, is_poisoned_N = poison(data, attack, share)
    with tempfile.TemporaryDirectory() as folder:
        result = ts.cleanse(
            (x_NHWC, y_N),
            test=(data.x_test, data.y_test),
            budget=BUDGET_S,
            out=Path(folder) / "out",
            progress=False,
        )
        row = said(result.found, is_poisoned_N)
        row["tried"] = [list(each.success.values()) for each in result.found.checked.tried]
        for when, model in (("before", result.before), ("after", result.after)):
            if model is not None:
                row[f"success_{when}"] = success(model, data, attack)
                row[f"accuracy_{when}"] = read_manifest(bundle_of(model)).score.value
        return row


def measure_clean(data: Data, seed: int) -> Row:
    """What a network that never saw a trigger answers to each of them."""
    with tempfile.TemporaryDirectory() as folder:
        result = ts.fit(
            (data.x, data.y),
            test=(data.x_test, data.y_test),
            budget=BUDGET_S,
            seed=seed,
            out=Path(folder) / "run",
            progress=False,
        )
        return {
            "revision": revision(),
            "seed": seed,
            "accuracy": read_manifest(result.bundle).score.value,
            "success": {kind: success(result.folder, data, each) for kind, each in ATTACKS.items()},
        }


def measure_neighbors(given: Data, attack: Attack, share: float) -> Row:
    """What is found by the labels of the nearest images."""
    x_NHWC, y_N, is_poisoned_N = poison(given, attack, share)
    with tempfile.TemporaryDirectory() as folder:
        source = open_source((x_NHWC, y_N))
        data = look(source, Path(folder), Cache(None), NOWHERE)
        f_ND = see(data, Cache(None), NOWHERE)
    f_ND -= f_ND.mean(axis=0)
    f_ND /= np.linalg.norm(f_ND, axis=1, keepdims=True)
    around_NK = y_N[nearest(f_ND, np.arange(len(f_ND)), ASKED)]
    agree_N = (around_NK == around_NK[:, :1]).all(axis=1)
    suspect_N = agree_N & (around_NK[:, 0] != y_N)
    return {
        "found": round(float(suspect_N[is_poisoned_N].mean()), 4) if share else None,
        "false_alarms": round(float(suspect_N[~is_poisoned_N].mean()), 5),
    }


def main() -> None:
    """Measure what is missing, then print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist,cifar10")
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--neighbors", default=NEIGHBORS)
    parser.add_argument("--train", nargs="?", const=TRAINED, default="")
    options = parser.parse_args()
    results: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    parts = (
        ("rows", options.rows, measure),
        ("neighbors", options.neighbors, measure_neighbors),
        ("trained", options.train, measure_cleansed),
    )
    for (part, wanted, measured), name in product(parts, options.data.split(",")):
        rows = results.setdefault(part, [])
        there = {(row["data"], row["attack"], row["share"]) for row in rows}
        asked = [text.split(":") for text in wanted.split(",") if text]
        missing = [(k, float(share)) for k, share in asked if (name, k, float(share)) not in there]
        data = load(name) if missing else None
        for kind, share in missing:
            assert data
            row = {"revision": revision(), **measured(data, ATTACKS[kind], share)}
            rows.append({"data": name, "attack": kind, "share": share, **row})
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for name in options.data.split(",") if options.train else ():
        clean = results.setdefault("clean", {}).setdefault(name, [])
        for seed in range(len(clean), CLEAN_SEEDS):
            clean.append(measure_clean(load(name), seed))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
