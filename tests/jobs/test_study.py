"""Tests of `tunesmith.jobs.study`; test_search.py exports the search of a fit."""

import shlex
from pathlib import Path

import optuna
import pytest

import tunesmith as ts
from tunesmith.core.errors import RunFolderError
from tunesmith.core.functions import load_function
from tunesmith.jobs.study import command_to_look, export_study

TRAININGS = Path(__file__).parents[1] / "tuning" / "trainings.py"


@pytest.mark.parametrize("name", ["a?b", "50%41", "a b#c"])
def test_a_run_may_have_any_name(name: str, tmp_path: Path) -> None:
    run = tmp_path / name
    function = load_function(f"{TRAININGS}:falls")
    ts.tune(function, trials=1, horizon=2, out=run, progress=False)
    path = export_study(run)
    assert path == run / "optuna.db"
    assert [p.name for p in tmp_path.iterdir()] == [name]
    copied = path.rename(tmp_path / "plain.db")
    assert len(optuna.load_study(study_name=name, storage=f"sqlite:///{copied}").trials) == 1
    assert (
        command_to_look(path)
        == f"cd {shlex.quote(str(run))} && optuna-dashboard sqlite:///optuna.db"
    )


def test_a_search_whose_file_is_damaged_is_told(tmp_path: Path) -> None:
    function = load_function(f"{TRAININGS}:falls")
    ts.tune(function, trials=1, horizon=2, out=tmp_path / "run", progress=False)
    for content in ("{", "[]", '{"space": {"lr": {"kind": "Float"}}}'):
        (tmp_path / "run" / "search.json").write_text(content)
        with pytest.raises(RunFolderError, match=r"search\.json is damaged .* writes it anew"):
            export_study(tmp_path / "run")


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
