"""Tests of `tunesmith.jobs.tune`: whole searches in worker processes, and every way to end them."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.clock import Clock
from tunesmith.core.errors import CodeChangedError, MissingExtraError, RunFolderError, SettingsError
from tunesmith.core.functions import USER_MODULE, Function, load_function
from tunesmith.core.settings import TuneSettings
from tunesmith.core.space import Field, Float, Range
from tunesmith.execution.executor import Inline, Outcome, Task
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import Processes
from tunesmith.jobs import tune as job
from tunesmith.jobs.report import look
from tunesmith.jobs.search.search_setup import disk_bytes
from tunesmith.jobs.search.tune_result import Tuned
from tunesmith.records.events import WorkersChosen
from tunesmith.records.history import TrialHistory
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning import timing
from tunesmith.tuning.protocols import History
from tunesmith.tuning.search import DISK_BYTES

TRAININGS = Path(__file__).parents[1] / "tuning" / "trainings.py"
HORIZON, HOURS_S = 25, 1e6


def tune(out: Path, function: str = "falls", **settings: Any) -> Tuned:
    given = {"trials": 6, "horizon": HORIZON, "progress": False, **settings}
    return ts.tune(load_function(f"{TRAININGS}:{function}"), out=out, **given)


def forget_imports() -> None:
    """Import functions anew, as another process would."""
    for name in [name for name in sys.modules if name.startswith(USER_MODULE)]:
        del sys.modules[name]


def curves(folder: Path) -> dict[str, tuple[Any, list[Mapping[str, float]]]]:
    """What a run's journal says of its trials, without times."""

    def rows(trial: TrialHistory) -> list[Mapping[str, float]]:
        return [row for done in trial.slices for row in done.rows]

    past = read_history(folder)
    return {name: (trial.config, rows(trial)) for name, trial in past.trials.items()}


def test_a_search_finds_something_better_than_the_defaults(tmp_path: Path) -> None:
    found = tune(tmp_path / "run", trials=8, workers=2)
    assert found.status == "finished"
    assert found.units == HORIZON
    assert found.default is not None
    assert found.value < 0.5 * found.default
    assert json.loads((found.checkpoint / "state.json").read_text()) == pytest.approx(found.value)
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["config"] == found.config
    assert found.words().startswith(f"value   {found.value:.6g} after 25 units (defaults: 0.9")


def test_the_noise_of_equal_configs_is_measured_and_kept(tmp_path: Path) -> None:
    found = tune(tmp_path / "run", "varies", trials=16)
    assert (found.noise_at, found.trials) == (5, 16)
    assert found.noise is not None
    assert 0 < found.noise < 0.01
    assert not (tmp_path / "run" / "again").exists()
    again = tune(tmp_path / "run", "varies", trials=16)
    assert again == found
    equal = tune(tmp_path / "equal", trials=16)
    assert equal.noise == pytest.approx(0.0, abs=1e-12)
    assert next(iter(equal.parts)) == "lr"


class Ticking:
    """Runs slices in this process, on a clock that a unit of training puts on by a second."""

    workers = 1

    def __init__(self) -> None:
        self.time = 0.0
        self._inline, self._seconds = Inline(), 0.0

    def submit(self, task: Task) -> None:
        assert self.time < 1000, "no budget is kept"
        self._seconds = float(task.arguments["until"] - task.arguments["start"])
        self._inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        outcome = self._inline.next_done(timeout_s)
        self.time += self._seconds
        return outcome and replace(outcome, seconds=self._seconds)

    def cancel(self) -> None:
        self._inline.cancel()


def test_a_budget_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = Ticking()
    monkeypatch.setattr(job, "Clock", partial(Clock, now=lambda: ticking.time))
    monkeypatch.setattr(job, "processes", lambda *_, **__: ticking)
    found = tune(tmp_path, trials=None, budget="500s", workers=1)
    assert 300 < ticking.time <= 500
    assert found.default is not None
    assert found.reason.startswith(("The budget is spent", "The time left"))


def test_how_many_processes_train_may_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.jobs.tune._most", lambda _: 2)  # whatever this one may use
    for _ in range(2):
        given: dict[str, Any] = {"trials": 8, "horizon": 10, "budget": "100h", "workers": "auto"}
        found = tune(tmp_path, "falls_slowly", **given)
        past = read_history(tmp_path)
        assert found.trials == 8
        assert past.workers is not None
        assert past.workers.reason in found.warnings
        assert [trial.seen for trial in past.trials.values()] == [10] * 8


def test_where_several_processes_have_too_little_memory_each_one_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = replace(measure(tmp_path), memory_bytes=2_500_000_000)
    monkeypatch.setattr("tunesmith.jobs.search.workers.measure", lambda _: machine)
    monkeypatch.setattr("tunesmith.jobs.tune._most", lambda _: 2)
    given: dict[str, Any] = {"trials": 4, "horizon": 10, "budget": "100h", "workers": "auto"}
    found = tune(tmp_path, "needs_memory", **given)
    past = read_history(tmp_path)
    assert past.workers == WorkersChosen(
        workers=1,
        reason="`--workers auto` chose 1 process: 2 processes do not seem to have enough memory "
        "each (It ran out of memory).",
    )
    assert past.workers.reason in found.warnings
    assert found.failed == {}
    assert [(trial.seen, trial.ended) for trial in past.trials.values()] == [(10, None)] * 4


def test_values_may_be_maximized(tmp_path: Path) -> None:
    found = tune(tmp_path, "rises", maximize=True)
    assert found.default is not None
    assert found.value > found.default


def test_more_trials_extend_a_finished_search(tmp_path: Path) -> None:
    tune(tmp_path / "parts", trials=3)
    assert tune(tmp_path / "parts", trials=3).trials == 3
    assert tune(tmp_path / "parts", trials=6).trials == 6
    with pytest.raises(RunFolderError, match=r"belongs to another job \(seed: 0 there, 1 here\)"):
        tune(tmp_path / "parts", trials=6, seed=1)


def test_more_whole_trainings_are_those_that_would_have_been_there_at_once(tmp_path: Path) -> None:
    for trials in (2, 4):
        tune(tmp_path / "parts", trials=trials, scheduler="none")
    tune(tmp_path / "whole", trials=4, scheduler="none")
    assert curves(tmp_path / "parts") == curves(tmp_path / "whole")


def test_a_command_that_trains_nothing_costs_nothing_of_an_extension(tmp_path: Path) -> None:
    function, elapsed = f"{TRAININGS}:falls", []
    for trials in (2, 2, 2, 3):
        settings = TuneSettings(trials=trials, horizon=5, budget=90_000.0, out=tmp_path)
        found = job.run(settings, function, progress=False, started_s=20_000.0)
        elapsed.append(read_history(tmp_path).elapsed)
    first, second, third, last = elapsed
    assert first == second == third
    assert 20_000 < first < 30_000
    assert 40_000 < last < 60_000
    assert found.trials == 3


SCRIPT = f"""
import sys
sys.path.insert(0, {str(TRAININGS.parent)!r})
import tunesmith as ts
import trainings

def train(config, folder, start, until):
    return trainings.falls_slowly(trainings.Config(**config), folder, start, until)

space = {{"lr": ts.Field(ts.Float(1e-4, 1.0, log=True), 1e-4), "kind": ts.Choice("good", "bad")}}
_, out, trials = sys.argv  # a worker sees what the driver was called with
found = ts.tune(train, space, trials=int(trials), horizon={HORIZON}, out=out)
print("config", found.config)
"""


def start(script: Path, out: Path, *, trials: int = 4) -> "subprocess.Popen[str]":
    command = [sys.executable, str(script), str(out), str(trials)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a script without a main guard, which tunes a function of its own."""
    monkeypatch.setattr(sys, "argv", ["script.py", "out", "4"])  # for tests that read it here
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def wait_for_slices(folder: Path, count: int, driver: "subprocess.Popen[str]") -> None:
    is_over = False
    while not is_over:
        is_over = driver.poll() is not None
        with contextlib.suppress(RunFolderError):  # there is none yet
            past = read_history(folder)
            if sum(len(trial.slices) for trial in past.trials.values()) >= count:
                return
        time.sleep(0.05)
    raise AssertionError(f"the search ended before {count} slices were done")


def test_a_driver_that_is_killed_loses_no_finished_slice_and_counts_none_twice(
    script: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with start(script, whole) as driver:
        out, _ = driver.communicate(timeout=1200)
    assert "config {'lr'" in out
    for count in (1, 15, 40):
        with start(script, killed) as driver:
            wait_for_slices(killed, count, driver)
            before = curves(killed)
            driver.kill()
        after = curves(killed)
        for name, (config, rows) in before.items():
            assert after[name][0] == config
            assert after[name][1][: len(rows)] == rows
    with start(script, killed) as driver:
        driver.communicate(timeout=1200)
    assert curves(killed) == curves(whole)
    kept = sorted(path.name for path in killed.glob("trials/*/*"))
    assert kept == [f"{HORIZON:08d}"] * 4


def test_a_finished_search_that_is_extended_may_be_killed_too(script: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with start(script, whole, trials=2) as driver:
        driver.communicate(timeout=1200)
    shutil.copytree(whole, killed)
    finished = curves(whole)
    with start(script, whole) as driver:
        driver.communicate(timeout=1200)
    with start(script, killed) as driver:
        done = sum(len(rows) for _, rows in finished.values())
        wait_for_slices(killed, done + 5, driver)
        driver.kill()
    with start(script, killed) as driver:
        driver.communicate(timeout=1200)
    assert curves(killed) == curves(whole)
    assert len(curves(whole)) == 4
    assert {name: curves(whole)[name] for name in finished} == finished


def test_a_worker_that_is_killed_costs_no_finished_slice(script: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with start(script, whole) as driver:
        driver.communicate(timeout=1200)
    with start(script, killed) as driver:
        for count in (10, 40):  # all four trials have trained by then
            wait_for_slices(killed, count, driver)
            with contextlib.suppress(ProcessLookupError):  # it may have finished meanwhile
                os.kill(int((killed / "worker").read_text()), signal.SIGKILL)
        driver.communicate(timeout=1200)
    assert all(trial.ended is None for trial in read_history(killed).trials.values())
    assert curves(killed) == curves(whole)


MODULE = """
import sys
import tunesmith as ts
from .losses import loss

def train(config, folder, start, until):
    (folder / "state").touch()
    return loss(config)

out, trials = sys.argv[-2:]
found = ts.tune(train, {"lr": ts.Float(0.0, 1.0)}, trials=int(trials), horizon=2, out=out)
print("trials", found.trials, found.failed)
"""


@pytest.mark.parametrize("words", [("-m", "steps.training"), ("-c", "import steps.training")])
def test_a_module_tunes_a_function_of_its_own(words: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "losses.py").write_text("def loss(config): return config['lr']\n")
    module = tmp_path / "steps" / "training.py"
    for trials, budget in ((2, ""), (3, ", budget='9h'")):  # what follows the function may change
        module.write_text(MODULE.replace(", out=out", f"{budget}, out=out"))
        command = [sys.executable, *words, "run", str(trials)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=1200
        )
        assert f"trials {trials} {{}}" in done.stdout


def test_a_module_in_the_working_folder_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "module_of_the_folder.py").write_text("def train(*given): return given[0]['lr']\n")
    settings = TuneSettings(trials=1, horizon=1, scheduler="none", out=Path("run"))
    space: dict[str, Range | Field] = {"lr": Float(0.0, 1.0)}
    found = job.run(settings, "module_of_the_folder:train", space, progress=False)
    assert (found.units, found.failed) == (1, {})


def test_the_second_driver_on_a_folder_is_refused(tmp_path: Path) -> None:
    tune(tmp_path, trials=1)
    with (
        Journal(tmp_path),
        pytest.raises(RunFolderError, match=r"Another process \(number \d+\) is working in"),
    ):
        tune(tmp_path, trials=1)


def test_ctrl_c_ends_a_search_with_the_best_so_far(script: Path, tmp_path: Path) -> None:
    with start(script, tmp_path / "run", trials=500) as driver:
        wait_for_slices(tmp_path / "run", 5, driver)
        driver.send_signal(signal.SIGINT)
        out, _ = driver.communicate(timeout=1200)
    assert "config {'lr'" in out
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (written["status"], written["reason"]) == ("interrupted", "It was interrupted.")


def test_a_trial_that_hangs_costs_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, honest = tmp_path / "hangs", Processes.next_done

    def next_done(processes: Processes, timeout_s: float) -> Outcome | None:
        for worker in processes._busy:
            if worker._has_loaded and hangs.exists():
                hangs.unlink()
                worker._began -= HOURS_S  # as if it had hung for so long
        return honest(processes, timeout_s)

    monkeypatch.setattr(Processes, "next_done", next_done)
    monkeypatch.setattr(timing, "GRACE_S", 3600.0)  # no slice that works is so slow
    found = tune(tmp_path, "hangs_where_bad", trials=5, budget=HOURS_S)
    assert found.failed
    assert set(found.failed.values()) == {"It was not over after 1 h 00 min, and was ended."}
    assert found.config["kind"] == "good"


def test_a_search_without_a_value_says_why(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"first 3 trials failed .* no device number"):
        tune(tmp_path / "a", "breaks")
    told = look(tmp_path / "a")
    assert told.startswith("stopped: The first 3 trials failed for one reason")
    assert f"{tmp_path / 'a' / 'trials' / '0002' / 'error.txt'} says where it" in told
    assert told.endswith("\nThe command that began it starts over.")
    with pytest.raises(SettingsError, match=r"each failed, at last so: .* no device number 1"):
        tune(tmp_path / "b", "breaks", trials=1)


def test_what_failed_is_told_also_where_time_ran_out_before_it_was_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = tmp_path / "trials" / "0000" / "error.txt"
    clock = partial(Clock, now=lambda: 100.0 if error.exists() else 0.0)
    monkeypatch.setattr(job, "Clock", clock)
    told = (
        r"\(The budget is spent.\) Slices failed: .* number 1\. Mend that, .*error\.txt says more"
    )
    with pytest.raises(SettingsError, match=told):
        tune(tmp_path, "breaks", trials=None, budget="50s")
    with pytest.raises(SettingsError, match=r"failed before\. Mend that, .*error\.txt says more"):
        tune(tmp_path, "breaks", trials=None, budget="50s")


def test_an_interruption_before_any_value_is_no_fault_of_the_users() -> None:
    said: list[str] = []
    none = History(horizon=HORIZON)
    with pytest.raises(KeyboardInterrupt):
        job._status(none, "It was interrupted.", is_interrupted=True, say=said.append)
    assert said == ["It was interrupted. No trial has a value yet; the same command goes on."]
    assert job._status(none, "It is over.", is_interrupted=False, say=said.append) == "finished"


def test_loading_the_function_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_slowly(name: str, _left_s: float, *, quiet: bool) -> Function:
        time.sleep(1.5)
        return load_function(name)

    monkeypatch.setattr(job, "load_within", load_slowly)
    tune(tmp_path, trials=1)
    query = "SELECT min(elapsed) FROM events WHERE kind = 'trial started'"
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as database:
        (first,) = database.execute(query).fetchone()
    assert first >= 1.5


MOVES = """
import os
from pathlib import Path

os.chdir(Path(__file__).parent / "elsewhere")

def train(config, folder, start, until):
    (folder / "state").touch()
    return config["lr"]
"""


ADDS = """
def train(config, folder, start, until):
    return sum(config.values())
"""


def test_a_search_may_begin_near_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "adds.py").write_text(ADDS)
    space: dict[str, Range | Field] = {f"x{n}": Field(Float(0.0, 1.0), 0.25) for n in range(20)}
    kept = []
    for trust in (False, True):
        given: dict[str, Any] = {"trust_defaults": trust, "scheduler": "none"}
        settings = TuneSettings(trials=5, horizon=1, out=tmp_path / str(trust), **given)
        job.run(settings, f"{tmp_path / 'adds.py'}:train", space, progress=False)
        configs = [config for config, _ in curves(tmp_path / str(trust)).values()]
        kept.append([sum(value == 0.25 for value in config.values()) for config in configs])
    plain, near = kept
    assert plain == [20, 0, 0, 0, 0]
    assert all(10 <= near[number] < 20 for number in (1, 3))
    assert (near[0], near[2], near[4]) == (20, 0, 0)


def test_names_hold_wherever_the_function_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moves.py").write_text(MOVES)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    settings = TuneSettings(trials=2, horizon=2, out=Path("run"))
    found = job.run(settings, "moves.py:train", {"lr": Float(0.0, 1.0)}, progress=False)
    assert found.folder == tmp_path.resolve() / "run"
    assert (found.units, found.failed) == (2, {})


DECORATED = """
from passing_on import passing_on

@passing_on
def train(config, folder, start, until):
    return config["lr"]
"""
PASSING_ON = """
import functools

def passing_on(function):
    @functools.wraps(function)
    def called(*given):
        return function(*given)
    return called
"""


def test_a_decorated_function_is_the_one_in_the_users_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    file, out = tmp_path / "decorated.py", tmp_path / "run"
    (tmp_path / "passing_on.py").write_text(PASSING_ON)
    file.write_text(DECORATED)
    settings = TuneSettings(trials=1, horizon=1, out=out)
    space: dict[str, Range | Field] = {"lr": Float(0.0, 1.0)}
    job.run(settings, f"{file}:train", space, progress=False)
    file.write_text(f"{DECORATED}print('changed')\n")
    with pytest.raises(CodeChangedError, match=r"needs was changed since it was imported here"):
        job.run(settings, f"{file}:train", space, progress=False)
    forget_imports()
    with pytest.raises(RunFolderError, match=r"another job \(the code in .* was changed; undo"):
        job.run(settings, f"{file}:train", space, progress=False)


@pytest.mark.parametrize("free", [1_000_000_000, 100_000_000_000])
def test_where_time_decides_the_disk_says_how_much_trials_may_take(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = replace(measure(tmp_path), disk_free_bytes=free)
    monkeypatch.setattr("tunesmith.jobs.search.search_setup.measure", lambda _: machine)
    assert disk_bytes(tmp_path / "trials", is_timed=True) == free / 4
    (tmp_path / "trials" / "0000").mkdir(parents=True)
    (tmp_path / "trials" / "0000" / "state").write_bytes(b"x" * 4000)
    assert disk_bytes(tmp_path / "trials", is_timed=True) == free / 4 + 1000
    assert disk_bytes(tmp_path / "trials", is_timed=False) == DISK_BYTES


def test_what_failed_before_anything_was_trained_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"first 3 trials failed .* no such device\. Mend it"):
        tune(tmp_path, "breaks_until_mended")
    assert len(read_history(tmp_path).trials) == 3
    (tmp_path / "mended").touch()
    found = tune(tmp_path, "breaks_until_mended")
    assert (found.failed, found.trials) == ({}, 6)
    assert found.default is not None
    assert not list(tmp_path.glob("trials/*/error.txt"))


def test_a_missing_package_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    with pytest.raises(MissingExtraError, match=r"\[hyperopt\]"):
        tune(tmp_path / "run", sampler="hyperopt")
    assert not (tmp_path / "run").exists()


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    for wrong, message in (
        ({"sampler": "best"}, "`sampler`: "),
        ({"horizon": 0}, "`horizon`: "),
        ({"workers": 0}, "`workers`: It must be `auto` or a number"),
        ({"workers": "many"}, r"`workers`: It must be .* but got 'many'"),
        ({"budget": "soon"}, "A budget is a time span"),
    ):
        with pytest.raises(SettingsError, match=message):
            tune(tmp_path, **wrong)


EDITED = """
import os
from pathlib import Path

FACTOR = 1.0

def train(config, folder, start, until):
    file = Path(__file__)
    if start and not (file.parent / "edited").exists():
        (file.parent / "edited").touch()
        file.write_text(file.read_text().replace("= 1.0", "= 2.0"))
        os._exit(3)  # so that another process goes on
    seen = int((folder / "state").read_text()) if start else 0
    (folder / "state").write_text(str(until))
    return [FACTOR * config["lr"] / (seen + n) for n in range(1, until - start + 1)]
"""


def test_a_file_that_is_edited_while_its_search_runs_stops_it(tmp_path: Path) -> None:
    file, out = tmp_path / "edited.py", tmp_path / "run"
    file.write_text(EDITED)
    space, reference = {"lr": Float(0.1, 1.0)}, f"{file}:train"

    def run() -> Tuned:
        settings = TuneSettings(out=out, horizon=50, trials=2)
        return job.run(settings, reference, space, progress=False)

    with pytest.raises(
        CodeChangedError, match=r"`train` needs was changed while its search ran; und"
    ):
        run()
    forget_imports()
    with pytest.raises(RunFolderError, match="needs was changed; undo that to go on with it"):
        run()
    forget_imports()
    file.write_text(EDITED)
    found = run()
    assert found.trials == 2
    assert found.failed == {}
    assert not any("was changed" in note for note in found.warnings)
