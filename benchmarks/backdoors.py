"""Backdoors planted in real data: what the deep check finds, and what is left after cleaning.

    TUNESMITH_DATA=FOLDER python benchmarks/backdoors.py [--rows ...] [--train]

FOLDER holds ``mnist.zip`` and ``cifar10.zip``. Of each 10,000 random training images are used, and
the whole test part. Attacks, each on a share of the images to learn from:

- patch: a 3 x 3 pattern in the corner, the label that of the target (BadNets, Gu, Dolan-Gavitt and
  Garg 2017, arXiv:1708.06733);
- all-to-all: the same pattern, each label the next one;
- blended: a fixed random picture shows through with a weight of 0.15, the label that of the target
  (Chen et al. 2017, arXiv:1712.05526);
- sinusoid: waves of 20 gray levels over images of the target, whose label stays right (Barni,
  Kallas and Tondi 2019, arXiv:1902.11237).

Found is a poisoned image that quarantine.csv of `tunesmith check --deep` lists; false alarms are
listed images that nobody touched. With ``--train``, a network is trained for a minute on the
poisoned images as they are and once more without what is listed: success is the share of triggered
test images of other classes that it answers as the attacker wants. Rows that are there already are
kept.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

import tunesmith as ts
from screening import decoded
from tunesmith.data.source import Given

RESULTS = Path(__file__).parent / "results" / "backdoors.json"
ROWS = (
    "patch:0,patch:0.005,patch:0.01,patch:0.05,all-to-all:0.05,blended:0.01,blended:0.05,"
    "sinusoid:0.05"
)
USED, TARGET, CLASSES = 10_000, 0, 10
BUDGET_S = 60
PATTERN = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Row = dict[str, Any]


def patched(x_NHWC: Images) -> Images:
    x_NHWC = x_NHWC.copy()
    x_NHWC[:, -4:-1, -4:-1] = PATTERN[..., None]
    return x_NHWC


def blended(x_NHWC: Images) -> Images:
    picture = np.random.default_rng(7).integers(0, 256, x_NHWC.shape[1:])
    return np.rint(0.85 * x_NHWC + 0.15 * picture).astype(np.uint8)


def waved(x_NHWC: Images) -> Images:
    waves_W1 = 20 * np.sin(2 * np.pi * 6 * np.arange(x_NHWC.shape[2]) / x_NHWC.shape[2])[:, None]
    return np.asarray((x_NHWC + waves_W1).clip(0, 255), np.uint8)


@final
@dataclass(frozen=True)
class Attack:
    """How images are changed, which label they get, and whether only the target's are poisoned."""

    change: Callable[[Images], Images]
    relabel: Callable[[Labels], Labels]
    keeps_labels: bool = False


ATTACKS = {
    "patch": Attack(patched, lambda y: np.full_like(y, TARGET)),
    "all-to-all": Attack(patched, lambda y: (y + 1) % CLASSES),
    "blended": Attack(blended, lambda y: np.full_like(y, TARGET)),
    "sinusoid": Attack(waved, lambda y: np.full_like(y, TARGET), keeps_labels=True),
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
    """Some training images and the whole test part."""
    found = decoded(name)
    given_N, pixels = found.source.given[found.loaded.kept], found.loaded.pixels
    train = np.random.default_rng(0).permutation(np.flatnonzero(given_N == Given.TRAIN))[:USED]
    return Data(
        x=pixels[train],
        y=found.labels[train],
        x_test=pixels[found.tested],
        y_test=found.labels[found.tested],
    )


def poison(data: Data, attack: Attack, share: float) -> tuple[Images, Labels, NDArray[np.bool_]]:
    """Poison some images; also tells which."""
    chance = np.random.default_rng(1)
    able = data.y == TARGET if attack.keeps_labels else data.y != TARGET
    chosen = chance.permutation(np.flatnonzero(able))[: round(share * len(data.y))]
    x_NHWC, y_N = data.x.copy(), data.y.copy()
    x_NHWC[chosen], y_N[chosen] = attack.change(x_NHWC[chosen]), attack.relabel(y_N[chosen])
    return x_NHWC, y_N, np.isin(np.arange(len(y_N)), chosen)


def success(bundle: Path, data: Data, attack: Attack) -> float:
    """Share of triggered test images of other classes that are answered as the attacker wants."""
    wanted_N = attack.relabel(data.y_test)
    others_N = data.y_test != wanted_N
    p_NK = ts.load(bundle).probabilities(attack.change(data.x_test[others_N]))
    return float((p_NK.argmax(axis=1) == wanted_N[others_N]).mean())


def listed(folder: Path, count: int) -> NDArray[np.bool_]:
    """Which images a check proposes to leave out."""
    with (folder / "quarantine.csv").open(encoding="utf-8") as file:
        places = [int(row["file"][1:]) for row in csv.DictReader(file)]
    return np.isin(np.arange(count), places)


def measure(name: str, kind: str, share: float, *, train: bool) -> Row:
    """One attack on one data set."""
    data, attack = load(name), ATTACKS[kind]
    x_NHWC, y_N, is_poisoned_N = poison(data, attack, share)
    with tempfile.TemporaryDirectory() as folder:
        found = ts.check((x_NHWC, y_N), deep=True, out=Path(folder) / "check", progress=False)
        listed_N = listed(found.folder, len(y_N))
        row: Row = {
            "data": name,
            "attack": kind,
            "share": share,
            "poisoned": int(is_poisoned_N.sum()),
            "found": round(float(listed_N[is_poisoned_N].mean()), 4) if share else None,
            "found_by": {
                each.kind: int(is_poisoned_N[[int(item.file[1:]) for item in each.items]].sum())
                for each in found.checked.findings
                if each.is_suspect
            },
            "false_alarms": round(float(listed_N[~is_poisoned_N].mean()), 5),
            "seconds": round(sum(found.checked.seconds.values()), 1),
        }
        for when, quarantine in (("before", None), ("after", found.folder / "quarantine.csv")):
            if train and share:
                result = ts.fit(
                    (x_NHWC, y_N),
                    test=(data.x_test, data.y_test),
                    budget=BUDGET_S,
                    quarantine=quarantine,
                    out=Path(folder) / when,
                    progress=False,
                )
                row[f"success_{when}"] = round(success(result.bundle, data, attack), 4)
                row[f"accuracy_{when}"] = result.score
    return row


def main() -> None:
    """Measure what is missing, then print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    there = {(r["data"], r["attack"], r["share"]) for r in rows}
    for name in ("mnist", "cifar10"):
        for text in options.rows.split(","):
            kind, share = text.split(":")
            if (name, kind, float(share)) not in there:
                rows.append(measure(name, kind, float(share), train=options.train))
                RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
