"""Tests of `tunesmith.jobs.tuned`: whole runs that search."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tunesmith as ts
from tunesmith.data.sources import open_source
from tunesmith.jobs.result import Result
from tunesmith.records.journal import read_history


def digits(count: int = 400) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    source = open_source("digits")
    return np.stack([np.asarray(source.read(i)) for i in range(count)]), source.labels[:count]


def fit(out: Path, **settings: Any) -> Result:
    """A run whose trainings are so small that their time does not matter."""
    given = {"budget": "10m", "model": "convnet", "params": {"width": 8}, "trials": 3}
    given |= {"train": {"augmentation": {}}}
    return ts.fit(digits(), out=out, progress=False, **{**given, **settings})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("tunesmith.plan.plan"), "MOST_EPOCHS_SMALL", 6.0)


def test_a_search_is_seen_in_everything_that_a_run_leaves(tmp_path: Path) -> None:
    result = fit(tmp_path / "run")
    assert result.summary.trials == 3
    past = read_history(tmp_path / "run" / "search")
    assert [past.trials[name].config is not None for name in ("0", "1", "2")] == [True] * 3
    trained = {name for name in read_history(result.folder).trials if "fold" not in name}
    assert trained in ({"convnet", "convnet 1"}, {"convnet", "convnet 2"})
    (found,) = trained - {"convnet"}
    assert any(found in note and "by chance with p =" in note for note in result.summary.notes)
    assert result.score > 0.5
