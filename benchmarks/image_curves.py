"""Learning curves of real searches on images: what their beginnings tell, and for `tuning.py`.

    TUNESMITH_DATA=FOLDER python benchmarks/image_curves.py [--data fashion,cifar10]
        [--configs 60] [--results FILE]
    python benchmarks/image_curves.py --page

Of Fashion-MNIST and CIFAR-10, 4,000 random training images each. Random configs of the whole space
of `convnet` are trained as a search trains them: in units, with a learning rate that stays, each
with the accuracy on the validation images. A whole training has six epochs; a config that costs
twice as much per image sees half as many. Then the rate falls, as it does in the finals of a
search: of the state after all units, and of that after a quarter of them. Accuracies on images that
no search sees tell what came of it. A training that diverges has an accuracy of 0 from there on.

Each config is a row; rows that are in the results already are kept, so that the command can be
interrupted and repeated. In the end, it writes Spearman's rank correlations to the page, with
intervals from 2,000 bootstrap samples of the configs; ``--page`` does so without measuring
anything.
"""

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

import tunesmith as ts
from backdoors import Data, load
from fit import revision, write_results
from tunesmith.core.settings import Settings
from tunesmith.core.space import Config
from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.stored import read_checkpoint
from tunesmith.jobs.search import shared, slices
from tunesmith.jobs.search.finals import COOLED
from tunesmith.jobs.search.search_setup import as_json
from tunesmith.jobs.search.slices import COOLING, STATE, TRIALS
from tunesmith.jobs.search.space import applied, training_space
from tunesmith.plan import UNITS
from tunesmith.tuning.cube import decode
from tunesmith.tuning.folders import at_unit

RESULTS = Path(__file__).parent / "results" / "image_curves.json"
PAGE = Path(__file__).parents[1] / "docs" / "tuning.md"
BEGIN, END = "<!-- benchmarks/image_curves.py writes this -->", "<!-- to here -->"
SOURCES = ("fashion", "cifar10")
IMAGES, EPOCHS, WIDTH = 4000, 6, 16
QUARTER = UNITS // 4  # from where the rate also falls
SHOWN = (1, 2, 3, QUARTER)  # units after which the correlation is told
BOOTSTRAP = 2000
GIVEN_S = 60.0  # enough for the usual batch, around which the space is
Row = dict[str, Any]


def measure(
    name: str, numbers: Sequence[int], told: Callable[[Mapping[str, Any], Row], None]
) -> None:
    """Train some of the configs, each of which is told as soon as it is done, with the space."""
    data = load(name)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        ts.fit(
            (data.x[:IMAGES], data.y[:IMAGES]),
            budget=GIVEN_S,
            out=run,
            model="convnet",
            params={"width": WIDTH},
            trials=1,
            progress=False,
        )
        search = run / "search"
        job = shared.opened(search / shared.DATA)
        assert job.chosen.search is not None
        planned = job.chosen.search.model_copy(update={"examples": EPOCHS * len(job.data)})
        job = replace(
            job,
            examples=planned.examples,
            chosen=job.chosen.model_copy(update={"search": planned}),
        )
        fields = training_space(job.family, job.chosen, Settings.make({}))
        rng = np.random.default_rng(0)
        points = [decode(fields, rng.random(len(fields))) for _ in range(max(numbers) + 1)]
        with patch.object(slices, "opened", lambda _: job):
            for number in numbers:
                found = recorded(search, job, data, number, points[number])
                row = {"revision": revision(), "data": name, "number": number, **found}
                told(as_json(fields), row)


def recorded(search: Path, job: shared.Shared, data: Data, number: int, config: Config) -> Row:
    """The curve of a config, and what comes of it once the learning rate has fallen."""
    trials, values, cooled = search / TRIALS, [0.0] * UNITS, {}
    place = at_unit(trials, number, 0)
    place.mkdir(parents=True)
    for unit in range(1, UNITS + 1):
        place = place.rename(at_unit(trials, number, unit))
        value = slices.train(config, place, unit - 1, unit)
        if not math.isfinite(value):
            break
        values[unit - 1] = value
        if unit in (QUARTER, UNITS):
            cool_in = at_unit(search / COOLED, number, unit)
            cooled[str(unit)] = cooled_down(job, data, config, cool_in)
    shutil.rmtree(place.parent)
    return {"config": config, "values": values, "cooled": cooled}


def cooled_down(job: shared.Shared, data: Data, config: Config, place: Path) -> Mapping[str, float]:
    """Accuracies after a cooldown, 0 if it diverges: as the search sees it, and on other images."""
    place.mkdir(parents=True)
    number, at = int(place.parent.name), int(place.name)
    value = slices.cool(slices.cooling(config, number, at), place, 0, COOLING)
    if not math.isfinite(value):
        return {"validation": 0.0, "test": 0.0}
    chosen = applied(job.chosen, config)
    x_NCHW = torch.from_numpy(data.x_test.reshape(*data.x_test.shape[:3], -1)).permute(0, 3, 1, 2)
    builder = job.family.builder(
        job.classes, x_NCHW.shape[1], size=job.chosen.size, params=chosen.params
    )
    network = builder()
    network.load_state_dict(read_checkpoint(place / STATE).average)
    layout = chosen.train.channels_last
    z_NK = logits(network.eval(), x_NCHW, normalize=job.data.normalize, channels_last=layout)
    shutil.rmtree(place)
    return {"validation": value, "test": float((z_NK.argmax(1) == data.y_test).mean())}


def correlation(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> float:
    """Spearman's, 0 where all values are equal."""
    found = float(spearmanr(one_N, other_N).statistic)
    return found if math.isfinite(found) else 0.0


def interval(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> str:
    """A correlation, and the interval that holds those of 95 % of the bootstrap samples."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(one_N), len(one_N)) for _ in range(BOOTSTRAP)]
    low, high = np.quantile([correlation(one_N[i], other_N[i]) for i in draws], (0.025, 0.975))
    return f"{correlation(one_N, other_N):.2f} ({low:.2f} to {high:.2f})"


def table(rows: Sequence[Row]) -> str:
    """Of each data set, what parts of a training tell of its end, also once cooled down."""
    names = [f"{100 * unit // UNITS} %" for unit in SHOWN]
    head = ["data", "configs", *names, f"{names[-1]}, cooled down", "all, before the rate falls"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == name]

        def cooled(at: int, what: str, here: Sequence[Row] = here) -> NDArray[np.float64]:
            return np.array([row["cooled"].get(str(at), {}).get(what, 0.0) for row in here])

        values_NT, end_N = np.array([row["values"] for row in here]), cooled(UNITS, "test")
        cells = [interval(values_NT[:, unit - 1], end_N) for unit in SHOWN]
        cells += [interval(cooled(QUARTER, "validation"), end_N)]
        cells += [interval(values_NT[:, -1], end_N)]
        lines.append(f"| {' | '.join([name, str(len(here)), *cells])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, unless only the page is asked for; then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=",".join(SOURCES))
    parser.add_argument("--configs", type=int, default=60)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    options = parser.parse_args()
    path: Path = options.results
    known = json.loads(path.read_text()) if path.exists() else {"rows": [], "spaces": {}}
    rows, spaces = known["rows"], known["spaces"]

    def told(space: Mapping[str, Any], row: Row) -> None:
        rows.append(row)
        spaces[row["data"]] = space
        write_results(path, rows, spaces=spaces)

    for name in () if options.page else options.data.split(","):
        there = {row["number"] for row in rows if row["data"] == name}
        if missing := [number for number in range(options.configs) if number not in there]:
            measure(name, missing, told)
    print(table(rows))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
