"""Which few configs a search should try first: a small portfolio for problems of many kinds.

    TUNESMITH_DATA=FOLDER python benchmarks/portfolio.py [--budget 30]

24 configs, the plan's own and 23 drawn around it as a search does, are each trained from scratch on
8 small problems made of real images (about 100 minutes; rows that are there are kept). What lies on
a logarithmic scale, as learning rate and width do, is a multiple of what the plan has chosen for a
problem. The portfolio is grown greedily from the plan's own config: next comes the one that lowers
the mean regret most, the regret of a problem being the error of the portfolio's best over that of
the best of all configs, less one. Published is the regret on each problem of a portfolio that was
grown without it.

To spare one of two cores for other work: ``taskset -c 0 python benchmarks/portfolio.py``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fit import job_file, write_results
from tunesmith.core.pixels import decode
from tunesmith.core.settings import Settings
from tunesmith.core.space import Choice, Config, Field, Int
from tunesmith.jobs.search.followers import absolute
from tunesmith.jobs.search.space import FIXED, OPTIMIZER, applied, declared, training_space
from tunesmith.models.build import find_family
from tunesmith.plan import Plan

RESULTS = Path(__file__).parent / "results" / "portfolio.json"
FOLDER = Path(os.environ.get("TUNESMITH_DATA", "data"))
FASHION = "/usr/share/datasets/fashion-mnist"
CONFIGS, MEMBERS, TESTED = 24, 8, 3000
FAMILY = find_family("convnet")
MUON = {OPTIMIZER: "muon"}  # which learning rates there are depends on it
CHANGES, SPREAD = (2, 6), 4.0  # how many changes, and fewer than; largest factor of a change
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
Row = dict[str, Any]


def read_zip(name: str, channels: int) -> dict[str, Images]:
    """Training and test part of a zip of class folders."""
    with zipfile.ZipFile(FOLDER / name) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith((".png", ".jpg")))
        classes = sorted({n.split("/")[-2] for n in names})
        parts: dict[str, Images] = {}
        for part in ("train", "test"):
            mine = [n for n in names if n.split("/")[-3] == part]
            x = np.stack([decode(archive.read(n), channels) for n in mine])
            parts[part] = x, np.array([classes.index(n.split("/")[-2]) for n in mine])
    return parts


def read_fashion() -> dict[str, Images]:
    """Training and test part of Fashion-MNIST."""
    from tunesmith.data.arrays import read_idx

    found = read_idx(Path(FASHION))
    x, is_test = np.asarray(found.images), found.is_test
    return {
        "train": (x[~is_test], found.labels[~is_test]),
        "test": (x[is_test], found.labels[is_test]),
    }


def some(images: Images, count: int) -> Images:
    """The same random images each time."""
    order = np.random.default_rng(0).permutation(len(images[1]))[:count]
    return images[0][order], images[1][order]


def noisy(images: Images, share: float) -> Images:
    """A share of the labels replaced by random ones."""
    chance = np.random.default_rng(1)
    wrong = chance.random(len(images[1])) < share
    return images[0], np.where(wrong, chance.integers(0, 10, len(wrong)), images[1])


def turned(images: Images) -> Images:
    """Each image turned by a random multiple of 90 degrees."""
    turns = np.random.default_rng(2).integers(0, 4, len(images[1]))
    return np.stack([np.rot90(x, t) for x, t in zip(images[0], turns, strict=True)]), images[1]


def problems() -> dict[str, Callable[[], tuple[Images, Images]]]:
    """Name -> training and test images."""
    mnist, cifar, fashion = read_zip("mnist.zip", 1), read_zip("cifar10.zip", 3), read_fashion()

    def make(
        data: Mapping[str, Images], count: int, change: Callable[[Images], Images] | None = None
    ) -> Callable[[], tuple[Images, Images]]:
        def build() -> tuple[Images, Images]:
            train, test = some(data["train"], count), some(data["test"], TESTED)
            return (change(train) if change else train), test

        return build

    return {
        "mnist 1,000": make(mnist, 1000),
        "mnist 10,000": make(mnist, 10_000),
        "fashion 3,000": make(fashion, 3000),
        "fashion 20,000": make(fashion, 20_000),
        "fashion 10,000, a fifth of the labels random": make(
            fashion, 10_000, lambda images: noisy(images, 0.2)
        ),
        "cifar10 500": make(cifar, 500),
        "cifar10 5,000": make(cifar, 5000),
        "cifar10 20,000, turned": make(cifar, 20_000, turned),
    }


def configs() -> list[Config]:
    """The plan's own config, and others with a few changes, relative to it, always the same."""
    chance, drawn = np.random.default_rng(0), list[Config]([{}])
    fields = {
        name: field
        for name, field in declared(FAMILY)
        if name not in {OPTIMIZER, *FIXED} and (field.when is None or field.when.holds(MUON))
    }
    while len(drawn) < CONFIGS:
        names = chance.choice(sorted(fields), size=int(chance.integers(*CHANGES)), replace=False)
        drawn.append({str(name): draw(fields[str(name)], chance) for name in names})
    return drawn


def draw(field: Field, chance: np.random.Generator) -> Any:
    """Another value of a field; where 0 turns something off, small values are likelier."""
    range_ = field.range
    if isinstance(range_, Choice):
        others = [option for option in range_.options if option != field.default]
        return others[int(chance.integers(len(others)))]
    if range_.log:
        return round(float(SPREAD ** chance.uniform(-1, 1)), 2)
    if isinstance(range_, Int):
        return int(chance.integers(range_.low, range_.high + 1))
    share = float(chance.random()) ** (3 if field.default == range_.low == 0 else 1)
    return round(range_.low + share * (range_.high - range_.low), 3)


def settings_of(plan: Plan, config: Config) -> dict[str, Any]:
    """The job that trains a config on a problem with this plan."""
    space = training_space(FAMILY, plan, Settings.make({}))
    chosen = applied(plan, absolute(space, config))
    # Left to the training: its seed, and a loss that forgives wrong labels once it has seen some.
    train = chosen.train.model_dump(exclude={"seed", "robust"})
    return {"params": dict(chosen.params), "train": train}


def fitted(source: Path, settings: Mapping[str, Any], budget: int) -> tuple[Row, Any]:
    """What one `tunesmith fit` tells, and its plan."""
    with tempfile.TemporaryDirectory() as folder:
        job, out = Path(folder) / "job.toml", Path(folder) / "run"
        job.write_text(job_file(settings))
        command = [
            *(sys.executable, "-m", "tunesmith", "fit", str(source), "--json"),
            *("--model", FAMILY.name, "--budget", f"{budget}s"),
            *("--config", str(job), "--out", str(out)),
        ]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        plan = json.loads((out / "plan.json").read_text())["plans"][FAMILY.name]
    return json.loads(done.stdout), plan


def run(source: Path, settings: Mapping[str, Any], budget: int) -> tuple[float, Any]:
    """Test error of one `tunesmith fit`, and its plan."""
    told, plan = fitted(source, settings, budget)
    return 1 - float(told["score"]["value"]), plan


def regrets(error_CP: NDArray[np.float64], members: Sequence[int]) -> NDArray[np.float64]:
    """Regret of a portfolio on each problem; half an image in error counts as the least."""
    least = 0.5 / TESTED
    ratio_P: NDArray[np.float64] = (error_CP[list(members)].min(axis=0) + least) / (
        error_CP.min(axis=0) + least
    )
    return ratio_P - 1


def grow(error_CP: NDArray[np.float64], count: int) -> list[int]:
    """Choose configs greedily; the first one is the plan's own."""
    chosen = [0]
    while len(chosen) < count:
        rest = [c for c in range(len(error_CP)) if c not in chosen]
        # Where none lowers it any more, the best ones by themselves are next.
        chosen.append(
            min(
                rest,
                key=lambda c: (
                    round(float(regrets(error_CP, [*chosen, c]).mean()), 6),
                    regrets(error_CP, [c]).mean(),
                ),
            )
        )
    return chosen


def errors(rows: Sequence[Row]) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the problems, and the error of each config on each of them."""
    names = list(dict.fromkeys(row["problem"] for row in rows))
    error_CP = np.full((CONFIGS, len(names)), np.nan)
    for row in rows:
        error_CP[row["config"], names.index(row["problem"])] = row["error"]
    return names, error_CP


def portfolio(rows: Sequence[Row]) -> list[int]:
    """Numbers of the configs of the portfolio that suits all problems."""
    return grow(errors(rows)[1], MEMBERS)


def left_out(rows: Sequence[Row]) -> dict[str, dict[int, float]]:
    """On each problem, the regret of portfolios of some sizes that were grown without it."""
    names, error_CP = errors(rows)
    grown = [grow(np.delete(error_CP, place, axis=1), MEMBERS) for place in range(len(names))]
    return {
        name: {size: float(regrets(error_CP, members[:size])[place]) for size in (1, 2, 4, MEMBERS)}
        for place, (name, members) in enumerate(zip(names, grown, strict=True))
    }


def main() -> None:
    """Measure what is missing; with all rows there, grow the portfolio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=30)
    budget = parser.parse_args().budget
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows, plans = found.get("rows", []), found.get("plans", {})
    tried = found.get("configs") or configs()  # kept, since a later space would give others
    there = {(row["problem"], row["config"]) for row in rows}
    for name, build in problems().items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "problem.npz"
            (x, y), (x_test, y_test) = build()
            np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
            if name not in plans:
                plans[name] = run(path, {}, budget)[1]
            plan = Plan.model_validate(plans[name])
            for number, config in enumerate(tried):
                if (name, number) in there:
                    continue
                error = run(path, settings_of(plan, config), budget)[0]
                rows.append({"problem": name, "config": number, "budget_s": budget, "error": error})
                print(json.dumps(rows[-1]), flush=True)
                write_results(RESULTS, rows, configs=tried, plans=plans)
    print(json.dumps([tried[number] for number in portfolio(rows)], indent=1))
    print(json.dumps(left_out(rows), indent=1))


if __name__ == "__main__":
    main()
