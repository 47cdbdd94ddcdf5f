"""Tests of `tunesmith.jobs.search.own`: searches with samplers and schedulers of the user's own."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import pytest

import tunesmith as ts
from tunesmith.core.errors import RunFolderError, SettingsError
from tunesmith.core.functions import load_function
from tunesmith.core.space import Config, Space
from tunesmith.jobs.search.own import name_of
from tunesmith.jobs.search.tune_result import Tuned
from tunesmith.records.journal import read_history
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.own import OwnError
from tunesmith.tuning.protocols import Decision, History, Resume
from tunesmith.tuning.random_sampler import RandomSampler

TRAININGS = Path(__file__).parents[2] / "tuning" / "trainings.py"


@final
@dataclass(frozen=True)
class Mine:
    """Proposes at random; raises an error once there are so many trials, and such a file."""

    most: int = 0
    breaks: str = ""

    def __call__(self, space: Space, history: History, *, seed: int) -> Config:
        if len(history.trials) >= self.most and Path(self.breaks).is_file():
            raise RuntimeError("I have no idea")
        return RandomSampler()(space, history, seed=seed)


class Plain:
    """One whose text has its address."""

    def __call__(self, history: History, **asked: Any) -> Decision:
        return FULL(history, **asked)


def astray(history: History, **asked: Any) -> Decision:
    return Resume(99, 5) if len(history.trials) > 1 else FULL(history, **asked)


def tune(out: Path, **settings: Any) -> Tuned:
    given = {"trials": 3, "horizon": 25, "progress": False, **settings}
    return ts.tune(load_function(f"{TRAININGS}:falls"), out=out, **given)


def seen(folder: Path) -> list[int]:
    return [trial.seen for trial in read_history(folder).trials.values()]


def test_names_are_the_same_in_another_process() -> None:
    here = __name__
    assert name_of(Mine(3)) == f"{here}.Mine(most=3, breaks='')"
    assert name_of(Plain()) == f"{here}.Plain"
    assert name_of(astray) == f"{here}.astray"
    assert name_of(partial(astray, a=1)) == "functools.partial(<function astray>, a=1)"


def test_a_search_with_its_own_resumes_and_refuses_others(tmp_path: Path) -> None:
    found = tune(tmp_path, sampler=Mine(), scheduler=Plain())
    names = f"sampler {name_of(Mine())}, scheduler {__name__}.Plain"
    assert found.method == names
    assert f"by      {names}\n" in found.words()
    assert tune(tmp_path, sampler=Mine(), scheduler=Plain()).config == found.config
    assert tune(tmp_path, sampler=Mine(), scheduler=Plain(), trials=4).trials == 4
    assert seen(tmp_path) == [25] * 4
    for other in (Mine(7), "random"):
        with pytest.raises(RunFolderError, match=r"sampler: .*Mine\(most=0, .* there, "):
            tune(tmp_path, sampler=other, scheduler=Plain())
    with pytest.raises(RunFolderError, match=r"scheduler: .*\.Plain\" there, \"none\" here"):
        tune(tmp_path, sampler=Mine(), scheduler="none")
    assert seen(tmp_path) == [25] * 4


@pytest.mark.parametrize("way_out", ["mended", "another", "a name"])
def test_a_sampler_that_fails_loses_nothing_that_was_trained(tmp_path: Path, way_out: str) -> None:
    out, broken = tmp_path / "run", tmp_path / "broken"
    broken.touch()
    given = {"sampler": Mine(2, str(broken)), "scheduler": "none"}
    with pytest.raises(OwnError, match=r"The sampler .*Mine\(.* raised RuntimeError: I have no"):
        tune(out, **given)
    before = read_history(out).trials
    assert seen(out) == [25, 25]
    broken.unlink()
    given["sampler"] = {"mended": given["sampler"], "another": Mine(), "a name": "random"}[way_out]
    assert tune(out, **given).trials == 3
    after = read_history(out).trials
    assert {name: after[name] for name in before} == before


ONE_FILE = """
from pathlib import Path
from typing import Annotated
import subprocess
import sys
from dataclasses import dataclass
import tunesmith as ts

@dataclass
class Config:
    rate: Annotated[float, ts.Float(0.0, 1.0)] = 0.5

def train(config: Config, folder: Path, start: int, until: int) -> float:
    (folder / "state").write_text(str(until))
    return config.rate

class Constant:
    def __call__(self, space, history, *, seed):
        return {"rate": VALUE}

if __name__ == "__main__":
    ts.tune(train, sampler=Constant(), scheduler="none", trials=2, horizon=2, progress=False)
"""


def test_a_sampler_may_be_mended_in_the_file_of_the_function(tmp_path: Path) -> None:
    script = tmp_path / "search.py"
    command = [sys.executable, str(script)]
    script.write_text(ONE_FILE.replace("VALUE", "2.0"))
    failed = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert "Constant proposed a config that does not fit the space" in failed.stderr
    script.write_text(ONE_FILE.replace("VALUE", "0.25"))
    subprocess.run(command, check=True, cwd=tmp_path)
    assert read_history(tmp_path / "runs" / "train").trials["1"].config == {"rate": 0.25}


def test_a_scheduler_that_asks_for_the_impossible_is_named(tmp_path: Path) -> None:
    told = r"The scheduler .*\.astray decided Resume\(trial=99, until=5\), but only a paused trial"
    with pytest.raises(OwnError, match=told):
        tune(tmp_path, scheduler=astray)
    assert seen(tmp_path) == [25, 25]
    assert tune(tmp_path, scheduler="none").trials == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampler": 3}, r"`sampler` must be one of auto, gp, .* a sampler of your own.* got 3\."),
        ({"scheduler": [1]}, r"`scheduler` must be one of auto, freeze-thaw, .* but got \[1\]"),
        ({"sampler": Mine}, r"got the class Mine\. Pass an instance, such as Mine\(\)"),
    ],
)
def test_what_cannot_be_called_is_refused(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        tune(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()
