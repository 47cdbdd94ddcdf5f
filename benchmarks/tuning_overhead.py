"""What the tuner itself takes: decisions at 1,000 trials, and slices that do nothing.

    OPENBLAS_NUM_THREADS=1 python benchmarks/tuning_overhead.py

Medians of 30 decisions, each in a search of 1,000 trials with the curves of a real one (most short,
few long), and the rate of calls of a function that does nothing, through one worker process. What
is known of a single trial is remembered, as in a search; what is learned of all of them is not.

A whole decision is everything that the tuner does between two slices, its journal and folders
included, but not the waiting for the disk: all times are those of the processor. So a second thread
of numpy's BLAS, which makes nothing faster here but keeps a core busy, would count twice.
"""

import math
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from fit import revision, write_results
from tunesmith.core.clock import Clock
from tunesmith.core.space import Field, Float
from tunesmith.execution.executor import Outcome, Task
from tunesmith.execution.processes import Processes
from tunesmith.records.events import SliceDone, TrialStarted
from tunesmith.records.journal import Journal
from tunesmith.tuning.asha import ASHA
from tunesmith.tuning.cube import decode
from tunesmith.tuning.folders import at_unit
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.gp import GP
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.protocols import History, Observation, Sampler, Scheduler, Trial
from tunesmith.tuning.search import Search
from tunesmith.tuning.tpe import TPE
from tunesmith.tuning.tuner import Tuner

RESULTS = Path(__file__).parent / "results" / "tuning_overhead.json"
TRIALS, HORIZON, REPEATS, CALLS = 1000, 50, 30, 1000
BLOCK = 2  # units per slice
SPACE = {f"x{number}": Field(Float(0.0, 1.0), 0.5) for number in range(8)}
SAMPLERS: dict[str, Sampler] = {
    "GP": GP(),
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
    times, paused = [], past.paused()
    for seed in range(REPEATS + 1):
        # What the last slice leaves is new, and learned anew.
        history = past.resumed(paused[seed], until=HORIZON).observed(paused[seed], (), seconds=0.0)
        began = time.process_time()
        for part in parts:
            part(history, seed)
        times.append(1000 * (time.process_time() - began))
    return round(statistics.median(times[1:]), 2)  # the first one imports


@final
class Instant:
    """Runs slices that take no time, and measures what the tuner does between two of them."""

    workers = 1

    def __init__(self, interrupted: threading.Event) -> None:
        self.milliseconds: list[float] = []
        self._interrupted, self._told = interrupted, math.nan
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        """Begin a slice: a decision is over."""
        self.milliseconds.append(1000 * (time.process_time() - self._told))
        self._tasks.append(task)

    def next_done(self, timeout_s: float) -> Outcome:  # noqa: ARG002 (part of the protocol)
        """End the slice: a decision begins."""
        task = self._tasks.pop()
        given = task.arguments
        (Path(given["folder"]) / "state").touch()
        if len(self.milliseconds) > REPEATS:
            self._interrupted.set()
        values = [1 / (1 + at) for at in range(given["start"], given["until"])]
        self._told = time.process_time()
        return Outcome(key=task.key, value=values, seconds=1.0)

    def cancel(self) -> None:
        """Do nothing; see `Executor`."""


def recorded(past: History, journal: Journal, folder: Path) -> None:
    """Write a search to a journal, in slices of a block, and the folders that its trials left."""
    for number, trial in enumerate(past.trials):
        name = str(number)
        journal.append(TrialStarted(trial=name, config=trial.config), elapsed=0.0)
        for begin in range(0, trial.at, BLOCK):
            rows = [{"at": o.at, "value": o.value} for o in trial.curve[begin : begin + BLOCK]]
            end = min(trial.at, begin + BLOCK)
            done = SliceDone(
                trial=name,
                begin=begin,
                end=end,
                seconds=1.0,
                checkpoint=str(end),
                rows=tuple(rows),
            )
            journal.append(done, elapsed=0.0)
        left = at_unit(folder, number, trial.at)
        left.mkdir(parents=True)
        (left / "state").touch()


def whole_milliseconds(past: History, *, is_timed: bool) -> float:
    """Median processor time of all that the tuner does between two slices."""
    search = Search(
        function="train.py:train",
        space=SPACE,
        horizon=HORIZON,
        sign=1,
        sampler=GP(),
        scheduler=FreezeThaw(),
        block=BLOCK,
        trials=None if is_timed else 2 * TRIALS,
        units=None if is_timed else 2 * TRIALS * HORIZON,
        seed=0,
    )
    interrupted = threading.Event()
    executor = Instant(interrupted)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as journal:
        trials = Path(folder) / "trials"
        recorded(past, journal, trials)
        Tuner(
            search,
            folder=trials,
            executor=executor,
            clock=Clock(budget=1e9 if is_timed else math.inf),
            journal=journal,
            say=lambda _: None,
            interrupted=interrupted,
        ).run()
    return round(statistics.median(executor.milliseconds[1:]), 2)


def calls_per_s() -> float:
    """Rate of calls that do nothing, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        executor = Processes(1, log=Path(folder) / "log")
        task = Task(key="0", function="string:capwords", arguments={"s": ""}, deadline_s=60)
        executor.submit(task)
        first = executor.next_done(60)
        assert first is not None
        assert first.failed is None
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
    both = milliseconds(past, parts["freeze-thaw"], parts["GP"])
    rows.append({"what": "freeze-thaw and GP", "ms": both})
    for name, is_timed in (("a budget", True), ("trials", False)):
        ms = whole_milliseconds(past, is_timed=is_timed)
        rows.append({"what": f"a whole decision, with {name}", "ms": ms})
    rows.append({"what": "calls through a worker process", "per_s": calls_per_s()})
    write_results(RESULTS, [{**row, "revision": revision()} for row in rows])
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
