"""What the tuner itself takes: decisions at 1,000 trials, and slices that do nothing.

    python benchmarks/tuning_overhead.py

Medians of 30 decisions, each in a search of 1,000 trials with the curves of a real one (most short,
few long), and the rate of calls of a function that does nothing, through one worker process. What
is known of a single trial is remembered, as in a search; what is learned of all of them is not.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fit import revision, write_results
from tunesmith.core.space import Field, Float
from tunesmith.execution.executor import Task
from tunesmith.execution.processes import Processes
from tunesmith.tuning.asha import ASHA
from tunesmith.tuning.cube import decode
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.protocols import History, Observation, Sampler, Scheduler, Trial
from tunesmith.tuning.tpe import TPE

RESULTS = Path(__file__).parent / "results" / "tuning_overhead.json"
TRIALS, HORIZON, REPEATS, CALLS = 1000, 50, 30, 1000
SPACE = {f"x{number}": Field(Float(0.0, 1.0), 0.5) for number in range(8)}
SAMPLERS: dict[str, Sampler] = {
    "TPE": TPE(),
    "Optuna's TPE": OptunaSampler(),
    "Hyperopt's TPE": HyperoptSampler(),
}
SCHEDULERS: dict[str, Scheduler] = {"freeze-thaw": FreezeThaw(), "ASHA": ASHA()}
Part = Callable[[History, int], object]


def history() -> History:
    """A search in which half of the trials had one block, a quarter two, and so on."""
    chance = np.random.default_rng(0)
    trials = []
    for _ in range(TRIALS):
        units = min(HORIZON, 2 * int(chance.geometric(0.5)))
        values = (chance.random() + 1 / np.arange(1, units + 1)).tolist()
        curve = tuple(Observation(at=at, value=value) for at, value in enumerate(values, start=1))
        config = decode(SPACE, chance.random(len(SPACE)))
        trials.append(Trial(config=config, curve=curve, seconds=units))
    return History(horizon=HORIZON, trials=tuple(trials))


def proposal(sampler: Sampler) -> Part:
    """A part of a decision: which config is tried next."""
    return lambda past, seed: sampler(SPACE, past, seed=seed)


def choice(scheduler: Scheduler) -> Part:
    """A part of a decision: which trial trains next."""
    return lambda past, seed: scheduler(past, spent=0.5, may_start=True, seed=seed)


def milliseconds(past: History, *parts: Part) -> float:
    """Median processor time of a decision that is made of these parts."""
    times = []
    for seed in range(REPEATS + 1):
        history = replace(past)  # as each slice leaves a new one
        began = time.process_time()
        for part in parts:
            part(history, seed)
        times.append(1000 * (time.process_time() - began))
    return round(statistics.median(times[1:]), 2)  # the first one imports


def calls_per_s() -> float:
    """Rate of calls that do nothing, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        executor = Processes(1, log=Path(folder) / "log")
        task = Task(key="0", function="builtins:bool", arguments={}, deadline_s=60)
        executor.submit(task)
        executor.next_done(60)
        began = time.perf_counter()
        for _ in range(CALLS):
            executor.submit(task)
            executor.next_done(60)
        seconds = time.perf_counter() - began
        executor.cancel()
    return round(CALLS / seconds)


def main() -> None:
    """Measure everything anew; it takes seconds."""
    past = history()
    parts = {name: proposal(sampler) for name, sampler in SAMPLERS.items()}
    parts |= {name: choice(scheduler) for name, scheduler in SCHEDULERS.items()}
    rows: list[dict[str, Any]] = [
        {"what": name, "ms": milliseconds(past, part)} for name, part in parts.items()
    ]
    both = milliseconds(past, parts["freeze-thaw"], parts["TPE"])
    rows.append({"what": "freeze-thaw and TPE", "ms": both})
    rows.append({"what": "calls through a worker process", "per_s": calls_per_s()})
    write_results(RESULTS, [{**row, "revision": revision()} for row in rows])
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
