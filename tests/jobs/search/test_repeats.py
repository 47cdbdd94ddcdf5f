"""Tests of `tunesmith.jobs.search.repeats`; test_tune.py measures the noise of whole searches."""

import threading
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.errors import RunFolderError
from tunesmith.core.space import Choice, Field
from tunesmith.execution.executor import Inline
from tunesmith.jobs.search.repeats import train_again
from tunesmith.tuning import repeats
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.search import Search

SEARCH = Search(
    function=f"{Path(__file__).parents[2] / 'tuning' / 'trainings.py'}:varies",
    space={"kind": Field(Choice("good", "bad"), "good")},
    horizon=10,
    sign=1,
    sampler=RandomSampler(),
    scheduler=FULL,
    block=10,
    trials=None,
    units=None,
    seed=0,
)


@pytest.mark.parametrize("best", [0, 1])
def test_of_a_space_with_few_configs_each_is_trained_again_as_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    monkeypatch.setattr(repeats, "SHARE", 1.0)
    curve = (Observation(at=2, value=1.0), Observation(at=10, value=1.0))
    trials = tuple(Trial(config={"kind": kind}, curve=curve) for kind in ("good", "bad"))
    noise = train_again(
        SEARCH,
        History(horizon=10, trials=trials),
        best,
        [{}, {}],
        folder=tmp_path,
        executor=Inline(),
        clock=Clock(budget=1000.0),
        interrupted=threading.Event(),
    )
    assert noise is not None
    assert {number: len(values) for number, values in noise.values.items()} == {0: 3, best: 3}
    assert noise.chosen == best
    assert noise.trainings == (2 if best == 0 else 5)


def test_where_nothing_can_be_written_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "SHARE", 1.0)
    (tmp_path / "repeats").touch()
    curve = (Observation(at=2, value=1.0), Observation(at=10, value=1.0))
    trial = Trial(config={"kind": "good"}, curve=curve)
    with pytest.raises(RunFolderError, match="repeats is a file, and a folder is needed"):
        train_again(
            SEARCH,
            History(horizon=10, trials=(trial,)),
            0,
            [{}, {}],
            folder=tmp_path,
            executor=Inline(),
            clock=Clock(budget=1000.0),
            interrupted=threading.Event(),
        )
