"""Samplers and schedulers on recorded learning curves: regret after so many epochs of training.

    TUNESMITH_DATA=FOLDER python benchmarks/tuning.py [--seeds 20] [--suites taskset,lcbench,images]
        [--lines ours,asha,...] [--minutes 10]
    python benchmarks/tuning.py --page

FOLDER holds ``taskset/*.json.gz`` (8 tasks, 1,000 configs each, recorded) and ``lcbench`` (a
surrogate of recorded curves, of which 8 tasks and 400 random configs each are taken). The first
point of each curve is the untrained model and is dropped. One worker; an epoch costs 1, pausing and
going on cost nothing; an epoch whose value is not finite ends its trial.

Regret is (incumbent - best) / (worst - best): the incumbent is the best validation value seen at
any epoch so far; best is the lowest value of all; worst is, for TaskSet, the minimum over configs
of the curve's maximum, and for LCBench the median of the final values. Means are over tasks, then
seeds.

A third suite is what ``image_curves.py`` recorded of searches on images. There, a search ends much
as in ``fit``: of the three configs with the best last values, one is chosen by its accuracy once
cooled down (recorded after a quarter of a training, which stands for all earlier pauses, and after
all of it), and trained to its end. Regret is that of its accuracy then, on images that no search
sees: (best - its) / (best - median). A unit, of which a training has 25, stands for an epoch, and
each mark is a search of its own, which knows how long it may take.

Each line, suite and seed is a row; rows that are in the results already are kept, so that the
command can be interrupted and repeated, and given a little time each time. In the end, it writes
the tables of all rows to the page; ``--page`` does so without measuring anything.
"""

import argparse
import gzip
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import onnxruntime
import optuna

from fit import revision, write_results
from image_curves import QUARTER
from image_curves import RESULTS as CURVES
from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Field, Float, Int
from tunesmith.jobs.search.cooldowns import MOST as FINALISTS
from tunesmith.jobs.search.search_setup import from_json
from tunesmith.plan import UNITS
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.cube import Floats, decode, encode
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.gp import GP
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.protocols import Sampler, Scheduler
from tunesmith.tuning.random_sampler import QuasiRandomSampler, RandomSampler
from tunesmith.tuning.simulate import Measured, Pool, Recording, simulate
from tunesmith.tuning.tpe import TPE
from tuning_tables import MARKS, TASKS, Row, in_tables

RESULTS = Path(__file__).parent / "results" / "tuning.json"
PAGE = Path(__file__).parents[1] / "docs" / "tuning.md"
BEGIN, END = "<!-- benchmarks/tuning.py writes this -->", "<!-- to here -->"
DATA = Path(os.environ.get("TUNESMITH_DATA", "data"))
POOL = 400  # configs of an LCBench task
Line = Callable[[Recording, float, int], Sequence[Measured]]


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """A recorded task, and what a regret of 1 means in it."""

    name: str
    recording: Recording
    worst: float

    def regrets(self, run: Line, marks: Sequence[float], seed: int) -> list[float]:
        """The regret after each of some numbers of epochs; infinite where nothing finite was."""
        values, measured = self.recording.values_NT, run(self.recording, marks[-1], seed)
        best = values[np.isfinite(values)].min()
        seen = np.array([m.value if math.isfinite(m.value) else math.inf for m in measured])
        incumbent = np.minimum.accumulate(seen)
        ends = np.searchsorted([m.time for m in measured], [mark + 1e-6 for mark in marks]) - 1
        return [float((incumbent[end] - best) / (self.worst - best)) for end in ends]


@final
@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """Recorded searches on images, and what came of their configs once the learning rate fell.

    Attributes:
        name: Name of the data set.
        recording: The trainings at a learning rate that stays.
        begun_N: Accuracy of each config that is cooled down after a quarter, as finals see it.
        cooled_N: The same after a whole training.
        test_N: The latter on images that no search sees.
    """

    name: str
    recording: Recording
    begun_N: Floats
    cooled_N: Floats
    test_N: Floats

    def regrets(self, run: Line, marks: Sequence[float], seed: int) -> list[float]:
        """The regret of a search of each length; infinite where nothing was finite."""
        return [self._regret(run(self.recording, mark, seed)) for mark in marks]

    def _regret(self, measured: Sequence[Measured]) -> float:
        last = {each.row: each for each in measured if math.isfinite(each.value)}
        if not last:
            return math.inf
        finalists = sorted(last.values(), key=lambda each: each.value)[:FINALISTS]
        chosen = max(finalists, key=self._in_finals).row
        best, middle = self.test_N.max(), np.median(self.test_N)
        return float((best - self.test_N[chosen]) / (best - middle))

    def _in_finals(self, each: Measured) -> float:
        is_whole = each.at == self.recording.values_NT.shape[1]
        return float((self.cooled_N if is_whole else self.begun_N)[each.row])


def taskset() -> list[Task]:
    """Text networks, eight hyperparameters of the optimizer, validation loss over 50 points."""
    tasks = []
    for name in TASKS["taskset"]:
        entries = json.loads(gzip.decompress((DATA / "taskset" / f"{name}.json.gz").read_bytes()))
        configs = [entry["hp"] for entry in entries]
        space = {}
        for field, value in configs[0].items():
            low, high = (f(config[field] for config in configs) for f in (min, max))
            # A range that spans more than two decades is logarithmic.
            space[field] = Field(Float(low, high, log=high > 100 * low > 0), value)
        values_NT = np.array([entry["valid"]["loss"] for entry in entries], dtype=float)[:, 1:]
        recording = Recording(
            space=space, configs=configs, values_NT=values_NT, seconds_N=np.ones(len(configs))
        )
        finite_N = np.isfinite(values_NT).all(axis=1)
        worst = float(values_NT[finite_N].max(axis=1).min())
        tasks.append(Task(name=name, recording=recording, worst=worst))
    return tasks


def lcbench() -> list[Task]:
    """Networks on tables, seven hyperparameters, validation error over 51 epochs."""
    folder = DATA / "lcbench"
    session = onnxruntime.InferenceSession(folder / "lcbench_surrogate.onnx")
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    fields = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    order = "batch_size learning_rate momentum weight_decay num_layers max_units max_dropout"
    by_name = {field["name"]: field for field in fields}
    space = {name: _field(by_name[name]) for name in order.split()}
    tasks = []
    for name in TASKS["lcbench"]:
        chance = np.random.default_rng(derive(0, "lcbench", int(name)))
        configs = [decode(space, x_D) for x_D in chance.random((POOL, len(space)))]
        values_ND = np.array([list(config.values()) for config in configs])
        epochs = np.arange(2, 53)
        x_cont = np.column_stack(
            [np.tile(epochs, POOL), np.repeat(values_ND, len(epochs), axis=0)]
        ).astype(np.float32)
        x_cat = np.full((len(x_cont), 1), codes[name], dtype=np.int32)
        (answers,) = session.run(None, {"x_cont": x_cont, "x_cat": x_cat})
        error_NT = 1 - answers[:, 1].reshape(POOL, len(epochs)).astype(float) / 100
        recording = Recording(
            space=space, configs=configs, values_NT=error_NT, seconds_N=np.ones(POOL)
        )
        worst = float(np.median(error_NT[:, -1]))
        tasks.append(Task(name=name, recording=recording, worst=worst))
    return tasks


def images() -> list[ImageTask]:
    """Networks on images, the whole space of `convnet`, validation error over 25 units."""
    recorded = json.loads(CURVES.read_text())
    tasks = []
    for name in TASKS["images"]:
        rows = [row for row in recorded["rows"] if row["data"] == name]
        recording = Recording(
            space=from_json(recorded["spaces"][name]),
            configs=[row["config"] for row in rows],
            values_NT=1 - np.array([row["values"] for row in rows]),
            seconds_N=np.ones(len(rows)),
        )

        def cooled(at: int, what: str, rows: Sequence[Mapping[str, Any]] = rows) -> Floats:
            # Of one that diverged, there is nothing.
            return np.array([row["cooled"].get(str(at), {}).get(what, 0.0) for row in rows])

        begun_N, cooled_N = (cooled(at, "validation") for at in (QUARTER, UNITS))
        tasks.append(
            ImageTask(
                name=name,
                recording=recording,
                begun_N=begun_N,
                cooled_N=cooled_N,
                test_N=cooled(UNITS, "test"),
            )
        )
    return tasks


def _field(given: Mapping[str, Any]) -> Field:
    """A field of LCBench's own space, logarithmic where it spans more than two decades."""
    low, high, default = given["lower"], given["upper"], given["default"]
    log = given["log"] or high > 100 * low > 0
    if given["type"] == "uniform_int":
        return Field(Int(low, high, log=log), default)
    return Field(Float(low, high, log=log), default)


def ours(sampler: Sampler, scheduler: Scheduler) -> Line:
    """A sampler and a scheduler of ours."""

    def run(recording: Recording, budget: float, seed: int) -> Sequence[Measured]:
        return simulate(recording, sampler, scheduler, budget=budget, seed=seed)

    return run


def with_optuna(make_pruner: Callable[[int], optuna.pruners.BasePruner]) -> Line:
    """Optuna by itself: its TPE, its pruner asked after each epoch, defaults everywhere."""

    def run(recording: Recording, budget: float, seed: int) -> Sequence[Measured]:
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=make_pruner(recording.values_NT.shape[1]),
            study_name=str(seed),  # Hyperband's brackets depend on it
        )
        distributions = {name: _distribution(f) for name, f in recording.space.items()}
        pool = Pool(encode(recording.space, recording.configs))
        measured: list[Measured] = []
        while len(measured) < budget and not pool.is_empty:
            # What it proposes is told apart from what is trained: the nearest recorded config.
            asked = study.ask(distributions)
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
            row = pool.take(encode(recording.space, [asked.params])[0])
            study.enqueue_trial(dict(recording.configs[row]))
            _train(study, study.ask(distributions), recording.values_NT[row], row, measured)
        return measured[: int(budget)]

    return run


def _train(
    study: optuna.Study, trial: optuna.Trial, values_T: Floats, row: int, measured: list[Measured]
) -> None:
    """Train until the end, until the pruner has enough, or until a value is not finite."""
    for at, value in enumerate(values_T.tolist(), start=1):
        time_ = len(measured) + 1.0
        measured.append(Measured(time=time_, trial=trial.number, at=at, value=value, row=row))
        if not math.isfinite(value):
            study.tell(trial, math.inf)
            return
        trial.report(value, at)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, float(values_T.min()))


def _distribution(field: Field) -> optuna.distributions.BaseDistribution:
    match field.range:
        case Int(low, high, log):
            return optuna.distributions.IntDistribution(low, high, log=log)
        case Float(low, high, log):
            return optuna.distributions.FloatDistribution(low, high, log=log)
        case Choice(options):
            return optuna.distributions.CategoricalDistribution(options)


LINES: dict[str, Line] = {
    "ours": ours(GP(), FreezeThaw()),
    "freeze-thaw + TPE": ours(TPE(), FreezeThaw()),
    "ASHA + GP": ours(GP(), ASHA()),
    "ASHA + TPE": ours(TPE(), ASHA()),
    "ASHA": ours(RandomSampler(), ASHA()),
    "freeze-thaw": ours(RandomSampler(), FreezeThaw()),
    "GP": ours(GP(), FULL),
    "TPE": ours(TPE(), FULL),
    "random": ours(RandomSampler(), FULL),
    "quasi-random": ours(QuasiRandomSampler(), FULL),
    "Hyperopt TPE": ours(HyperoptSampler(), FULL),
    "Optuna TPE": with_optuna(lambda _: optuna.pruners.NopPruner()),
    "Optuna TPE, median": with_optuna(lambda _: optuna.pruners.MedianPruner()),
    "Optuna TPE, Hyperband": with_optuna(
        lambda horizon: optuna.pruners.HyperbandPruner(max_resource=horizon)
    ),
    "Optuna TPE, successive halving": with_optuna(
        lambda _: optuna.pruners.SuccessiveHalvingPruner()
    ),
}
TWICE = "random, twice the budget"
SUITES: dict[str, Callable[[], Sequence[Task | ImageTask]]] = {
    "taskset": taskset,
    "lcbench": lcbench,
    "images": images,
}


def measure(
    suite: str, tasks: Sequence[Task | ImageTask], line: str, seed: int
) -> list[list[float]]:
    """Regrets of a line on each task of a suite at each of its marks."""
    factor = 2 if line == TWICE else 1
    run = LINES["random" if line == TWICE else line]
    marks = [mark * factor for mark in MARKS[suite]]
    return [task.regrets(run, marks, seed) for task in tasks]


def measured(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """Measure what is missing as long as there is time; return the rows with what was measured."""
    rows, ends = list(rows), time.monotonic() + 60 * options.minutes
    for suite in options.suites.split(","):
        tasks = SUITES[suite]()
        for seed in range(options.seeds):
            for line in options.lines.split(";"):
                there = {(r["suite"], r["line"], r["seed"]) for r in rows}
                if (suite, line, seed) in there or time.monotonic() > ends:
                    continue
                began = time.process_time()
                regrets = measure(suite, tasks, line, seed)
                seconds = round(time.process_time() - began, 2)
                row = {"suite": suite, "line": line, "seed": seed, "regrets": regrets}
                rows.append({**row, "cpu_s": seconds, "revision": revision()})
                write_results(RESULTS, rows)
    return rows


def tables(rows: Sequence[Row]) -> str:
    """The tables of the rows, whose lines are in the order of `LINES`."""
    order = [*LINES, TWICE]
    return in_tables(sorted(rows, key=lambda row: order.index(row["line"])))


def main() -> None:
    """Measure what is missing, unless only the page is asked for; then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--lines", default=";".join((*LINES, TWICE)), help="separated by ;")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    if not options.page:
        rows = measured(rows, options)
    print(tables(rows))
    page = PAGE.read_text("utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{tables(rows)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
