"""Tests of `tunesmith.jobs.tune`: searches whose function's file was edited between two runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.core.errors import RunFolderError, SettingsError
from tunesmith.core.settings import TuneSettings
from tunesmith.core.space import Field, Float, Range
from tunesmith.jobs import tune as job
from tunesmith.jobs.search.tune_result import Tuned
from tunesmith.records.events import SessionStarted
from tunesmith.records.journal import Journal, read_history

SPACE: dict[str, Range | Field] = {"lr": Float(0.0, 1.0)}
SCRIPT = """
import tunesmith as ts

TRIALS = 1

def train(config, folder, start, until):
    state = folder / "state"
    level = float(state.read_text()) if start else 1.0
    level *= (1 - config["lr"] / 10) ** (until - start)
    state.write_text(str(level))
    return level

found = ts.tune(train, {"lr": ts.Float(0.0, 1.0)}, trials=TRIALS, horizon=10, progress=False)
print(found.trials)  # so many
"""


def run(script: Path) -> str:
    done = subprocess.run(
        [sys.executable, script], cwd=script.parent, capture_output=True, text=True, check=False
    )
    return done.stdout or done.stderr


def test_a_script_that_asks_for_more_trials_extends_its_search(tmp_path: Path) -> None:
    (script := tmp_path / "script.py").write_text(SCRIPT)
    assert run(script).strip() == "1"
    script.write_text(SCRIPT.replace("TRIALS = 1", "TRIALS = 3").replace("  # so many", ""))
    assert run(script).strip() == "3"
    script.write_text(SCRIPT.replace("level = float", "level = 0.9 * float"))
    assert f"(the code in {script} that `train` needs was changed" in run(script)


def tune(
    file: Path, out: Path, *, trials: int = 4, scheduler: str = "auto", budget: float | None = None
) -> Tuned:
    """Tune the function of a file, as a new process that imports it would."""
    for name in [name for name in sys.modules if name.startswith("tunesmith_user_")]:
        del sys.modules[name]
    given = {"trials": trials, "horizon": 10, "out": out, "scheduler": scheduler}
    given |= {} if budget is None else {"budget": budget}
    settings = TuneSettings.model_validate(given)
    return job.run(settings, f"{file}:train", SPACE, progress=False)


WORKS = """
def train(config, folder, start, until):
    state, count = folder / "state", folder.parents[2] / "count"
    calls = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(calls))
    # here
    level = float(state.read_text()) if start else 1.0
    level *= (1 - config["lr"] / 10) ** (until - start)
    state.write_text(str(level))
    return level
"""
BREAKS = WORKS.replace("# here", "if calls > 4: raise OSError('no such device')")
MENDED = "`train` was changed after its search had stopped; what it had trained stays."
FORGETS = WORKS.replace("state.write_text(str(level))", "pass")
IMPORTS = (
    f"import keeping\n{WORKS.replace('state.write_text(str(level))', 'keeping.keep(state, level)')}"
)
KEEPS = "def keep(state, level):\n    state.write_text(str(level))\n"


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_a_function_that_broke_is_mended_and_goes_on(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(BREAKS)
    out = tmp_path / "run"
    with pytest.raises(SettingsError, match=r"no such device.*same command again: it goes on"):
        tune(file, out)
    before = read_history(out).trials
    assert sum(trial.seen for trial in before.values()) == 4
    file.write_text(WORKS)
    with pytest.raises(RunFolderError, match=r"scheduler: .*auto.* there, .*asha.* here"):
        tune(file, out, scheduler="asha")
    found = tune(file, out)
    assert (found.trials, found.warnings) == (4, [MENDED])
    after = read_history(out).trials
    for name, trial in before.items():
        assert after[name].slices[: len(trial.slices)] == trial.slices
    file.write_text(BREAKS)  # once it works, it may not be changed again
    with pytest.raises(RunFolderError, match=r"the code in .*train\.py that `train` needs was"):
        tune(file, out, trials=5)


def test_a_function_that_always_breaks_at_the_end_is_mended_and_goes_on(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(WORKS.replace("# here", "assert until < 10"))
    out = tmp_path / "run"
    found = tune(file, out)
    assert "Each of the 4 trials that had trained failed after" in found.reason
    assert "Each of the 4 trials" in tune(file, out).reason  # in vain
    before = read_history(out).trials
    file.write_text(WORKS)
    found = tune(file, out)
    assert (found.units, found.failed) == (10, {})
    after = read_history(out).trials
    for name, trial in before.items():
        assert after[name].slices[: len(trial.slices)] == trial.slices


def test_a_repeat_without_time_leaves_what_is_stuck_to_be_mended(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(WORKS.replace("# here", "assert until < 10"))
    out = tmp_path / "run"
    tune(file, out, budget=3600.0)
    with Journal(out) as journal:
        journal.append(SessionStarted(budget=3600.0), elapsed=4000.0, phases={})
    assert "Each of the 4 trials" in tune(file, out, budget=3600.0).reason
    file.write_text(WORKS)
    found = tune(file, out, budget=9000.0)
    assert (found.units, found.failed) == (10, {})


def test_the_way_out_that_is_named_may_be_taken_in_the_same_folder(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(FORGETS)
    out = tmp_path / "run"
    with pytest.raises(SettingsError, match="pass --scheduler none"):
        tune(file, out)
    assert tune(file, out, scheduler="none").units == 10


def test_what_a_function_trained_that_cannot_go_on_is_not_kept(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(FORGETS)
    out = tmp_path / "run"
    for _ in range(2):
        with pytest.raises(SettingsError, match="`train` left nothing in its folder"):
            tune(file, out)
    file.write_text(WORKS)
    found = tune(file, out)
    assert (found.trials, found.failed) == (4, {})
    assert json.loads((out / "job.json").read_text()).keys().isdisjoint({"may_differ"})
    file.write_text(FORGETS)
    with pytest.raises(RunFolderError, match="was changed"):
        tune(file, out)


def test_what_left_nothing_is_trained_again_once_an_imported_file_is_mended(tmp_path: Path) -> None:
    (file := tmp_path / "train.py").write_text(IMPORTS)
    imported, out = tmp_path / "keeping.py", tmp_path / "run"
    imported.write_text("def keep(state, level): ...\n")
    with pytest.raises(SettingsError, match="`train` left nothing in its folder"):
        tune(file, out)
    imported.write_text(KEEPS)
    found = tune(file, out)
    assert (found.trials, found.units, found.failed) == (4, 10, {})
