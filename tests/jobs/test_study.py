"""Tests of `tunesmith.jobs.study`; test_search.py exports the search of a fit."""

from pathlib import Path

import optuna
import pytest

import tunesmith as ts
from tunesmith.core.errors import RunFolderError
from tunesmith.core.functions import load_function
from tunesmith.jobs.study import export_study

TRAININGS = Path(__file__).parents[1] / "tuning" / "trainings.py"


def test_a_search_of_a_users_own_function_becomes_a_study(tmp_path: Path) -> None:
    run = tmp_path / "run"
    function = load_function(f"{TRAININGS}:falls")
    ts.tune(function, trials=3, horizon=10, out=run, progress=False)
    path = export_study(run)
    assert path == run / "optuna.db"
    study = optuna.load_study(study_name="run", storage=f"sqlite:///{path}")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 3
    assert {t.params["kind"] for t in study.trials} <= {"good", "bad"}
    lr = study.trials[0].distributions["lr"]
    assert isinstance(lr, optuna.distributions.FloatDistribution)
    assert lr.log


def test_a_folder_without_a_search_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"holds no search. Pass the folder of a `tunesmith"):
        export_study(tmp_path)
