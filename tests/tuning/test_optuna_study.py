"""Tests of `tunesmith.tuning.optuna_study`."""

import math
from pathlib import Path

import optuna
import pytest

from tunesmith.core.space import Choice, Field, Float, Int
from tunesmith.tuning.optuna_study import write_study
from tunesmith.tuning.protocols import History, Observation, Trial

SPACE = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.1),
    "width": Field(Int(8, 64), 16),
    "kernel": Field(Choice([3, 3], "none"), "none"),
}
CONFIG = {"lr": 0.01, "width": 32, "kernel": [3, 3]}


def trial(*values: float, failed: str | None = None) -> Trial:
    curve = tuple(Observation(at=at, value=value) for at, value in enumerate(values, start=1))
    return Trial(config=CONFIG, curve=curve, seconds=2.0, failed=failed)


@pytest.mark.parametrize("sign", [1, -1])
def test_optuna_reads_what_was_written(sign: int, tmp_path: Path) -> None:
    trials = (trial(0.5, 0.4, 0.3), trial(0.6), trial(0.7, math.nan, failed="It gave NaN."))
    path = tmp_path / "optuna.db"
    for _ in range(2):  # one that is there is replaced
        write_study(path, "mine", SPACE, History(horizon=3, trials=trials), sign=sign)
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{path}")
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert study.best_value == sign * 0.3
    assert study.direction.name == ("MINIMIZE" if sign > 0 else "MAXIMIZE")
    assert study.trials[0].intermediate_values == {1: sign * 0.5, 2: sign * 0.4, 3: sign * 0.3}
    assert study.trials[1].params == CONFIG | {"kernel": "[3, 3]"}
    assert study.trials[2].user_attrs == {"seconds": 2.0, "failed": "It gave NaN."}
    assert study.trials[2].intermediate_values == {1: sign * 0.7}


def test_an_export_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "optuna.db").write_bytes(b"before")
    monkeypatch.setattr("optuna.study.Study.add_trial", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_study(path, "mine", SPACE, History(horizon=3, trials=(trial(0.5),)), sign=1)
    assert path.read_bytes() == b"before"
