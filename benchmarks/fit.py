"""Accuracy for a time budget: whole processes on real data, from start to report written.

    [TUNESMITH_DATA=FOLDER] python benchmarks/fit.py [--rows mnist:60,cifar10:600] [--seeds 3]
        [--reference SCRIPT] [--results FILE]

``mnist`` and ``cifar10`` are FOLDER/mnist.zip and FOLDER/cifar10.zip (class folders with train and
test) where these exist. Else they are known to Tunesmith by name, as Fashion-MNIST always is, and
what is nowhere on this machine is downloaded before the clock of a row starts. ``cifar10-1000`` is
made from FOLDER/cifar10.zip: 100 random training images of each class, and the whole test part;
``cifar10-5000`` has 500, and ``mnist-300`` and ``cifar10-300`` have 30 of each class. Each row is
one process; rows that are in the results already are kept, so that the command can be interrupted
and repeated. With
``--reference``, another script is run at the same budget right after each row: ``SCRIPT NAME BUDGET
--seed N --width W`` must print a JSON line with ``accuracy``, ``accuracy_mirrored``,
``images_per_s`` and ``wall_s``. Its rows bear the script's name without the
suffix; ``by_hand.py`` is such a script.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pages import BY_HAND, REFERENCE, table
from tunesmith.core.clock import Clock
from tunesmith.jobs.fetch import fetch

RESULTS = Path(__file__).parent / "results" / "fit.json"
DATA = Path(os.environ.get("TUNESMITH_DATA", "data"))
ZIPS = {name: DATA / f"{name}.zip" for name in ("mnist", "cifar10")}
SOURCES = {
    **{name: str(path) if path.exists() else name for name, path in ZIPS.items()},
    "fashion": "fashion-mnist",
    "digits": "digits",
}
# Name -> of what it is a part, and training images of each class.
SMALL = {
    "cifar10-5000": ("cifar10", 500),
    "cifar10-1000": ("cifar10", 100),
    "mnist-300": ("mnist", 30),
    "cifar10-300": ("cifar10", 30),
}
UNKNOWN_TO = {REFERENCE: {"digits", *SMALL}, BY_HAND: {*SMALL}}  # data, by the script's name
ROWS = "mnist:60,digits:60,mnist:300,fashion:300,cifar10:600"
LAST = 20  # lines of a failed process that are shown
Row = dict[str, Any]


def make_small(name: str, path: Path) -> str:
    """Write a zip with a few training images of each class, always the same, and the test."""
    given, count = SMALL[name]
    with zipfile.ZipFile(ZIPS[given]) as whole, zipfile.ZipFile(path, "w") as part:
        by_class: dict[str, list[str]] = {}
        for member in whole.namelist():
            if member.count("/") >= 2 and not member.endswith("/"):
                by_class.setdefault(member.rpartition("/")[0], []).append(member)
        chance = random.Random(0)
        for folder, members in sorted(by_class.items()):
            some = members if "test" in folder else chance.sample(sorted(members), count)
            for member in some:
                part.writestr(member, whole.read(member))
    return str(path)


def revision() -> str:
    """The commit that is measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or "unknown"


def job_file(settings: Mapping[str, Any], section: str = "") -> str:
    """Write settings as TOML: values that JSON writes alike, some of them in sections."""
    return "\n".join(
        job_file(value, f"{section}{key}.")
        if isinstance(value, Mapping) and value
        else f"{section}{key} = {json.dumps(value)}"
        for key, value in settings.items()
    )


def run_ours(
    data: str,
    budget: int,
    seed: int,
    *,
    model: str = "auto",
    settings: Mapping[str, Any] | None = None,
) -> Row:
    """One `tunesmith fit`, measured from outside."""
    with tempfile.TemporaryDirectory() as folder:
        source = SOURCES.get(data) or make_small(data, Path(folder) / "small.zip")
        job = Path(folder) / "job.toml"
        job.write_text(job_file(settings or {}))
        fetch(source, clock=Clock(budget=math.inf), quiet=False)
        began = time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tunesmith", "fit", source, "--json"),
                *("--budget", f"{budget}s", "--seed", str(seed), "--out", f"{folder}/run"),
                *("--model", model, "--config", str(job)),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        wall_s = time.monotonic() - began
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-LAST:])
        raise SystemExit(f"{data} at {budget} s ended with status {done.returncode}:\n{said}")
    result = json.loads(done.stdout)
    return {
        "who": "tunesmith",
        "revision": revision(),
        "data": data,
        "budget_s": budget,
        "seed": seed,
        "accuracy": result["score"]["value"],
        "low": result["score"]["low"],
        "high": result["score"]["high"],
        "ece": result["evaluation"]["ece_after"],
        "family": result["model"]["family"].rpartition("/")[2],
        "trials": result["trials"],
        "width": result["model"]["config"].get("width"),
        "resolution": result["model"]["config"].get("resolution"),
        "epochs": round(result["examples"] / result["data"]["counts"]["train"], 2),
        "images_per_s": round(result["images_per_s"]),
        "wall_s": round(wall_s, 1),
        "memory_peak_mb": round(result["memory_peak_bytes"] / 1e6),
        "latency_ms": result["exports"][0]["latency_ms"],
        "phases": result["phases"],
    }


def run_reference(script: str, data: str, budget: int, seed: int) -> Row:
    """One run of the script to beat, at the same budget."""
    width = {"mnist": "16", "fashion": "16"}.get(data, "32")
    done = subprocess.run(
        [sys.executable, script, data, str(budget), "--seed", str(seed), "--width", width],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told: Row = {"who": Path(script).stem, "data": data, "budget_s": budget, "seed": seed}
    return {**told, **json.loads(done.stdout.splitlines()[-1])}


def write_results(path: Path, rows: list[Row], **more: Any) -> None:
    """Write rows, and what more there is, with the machine they were measured on."""
    from tunesmith.execution.machine import measure, versions

    machine = measure(Path())
    hardware = {"cpu": machine.cpu, "cores": machine.cores, "system": machine.system}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"hardware": hardware, "versions": versions(), "rows": rows, **more}
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--reference")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    other = Path(options.reference).stem if options.reference else REFERENCE
    path: Path = options.results
    rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    there = {(r["who"], r["data"], int(r["budget_s"]), r["seed"]) for r in rows}
    for seed in range(options.seeds):
        for text in options.rows.split(","):
            data, budget = text.split(":")
            if ("tunesmith", data, int(budget), seed) not in there:
                rows.append(run_ours(data, int(budget), seed))
                write_results(path, rows)
            wanted = options.reference and data not in UNKNOWN_TO.get(other, set())
            if wanted and (other, data, int(budget), seed) not in there:
                rows.append(run_reference(options.reference, data, int(budget), seed))
                write_results(path, rows)
    print(table(rows, other))


if __name__ == "__main__":
    main()
