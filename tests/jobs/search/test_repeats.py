"""Tests of `tunesmith.jobs.search.repeats`; test_tune.py measures the noise of whole searches."""

import threading
from pathlib import Path

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.errors import RunFolderError
from tunesmith.core.space import Choice, Field
from tunesmith.execution.executor import Inline
from tunesmith.jobs.search.repeats import train_again
from tunesmith.records.events import SliceDone
from tunesmith.records.history import History as Past
from tunesmith.records.history import TrialHistory
from tunesmith.tuning import repeats
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History, Observation
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


def searched(*kinds: str) -> tuple[History, Past]:
    """Trials of two slices each."""
    history, past = History(horizon=10), dict[str, TrialHistory]()
    for number, kind in enumerate(kinds):
        slices = tuple(
            SliceDone(trial="", begin=begin, end=end, seconds=0.0, checkpoint="", rows=())
            for begin, end in ((0, 2), (2, 10))
        )
        curve = tuple(Observation(at=done.end, value=1.0) for done in slices)
        history = history.started({"kind": kind}, until=10).observed(number, curve, seconds=10.0)
        past[str(number)] = TrialHistory(slices=slices)
    return history, Past(trials=past)


@pytest.mark.parametrize("best", [0, 1])
def test_of_a_space_with_few_configs_each_is_trained_again_as_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    monkeypatch.setattr(repeats, "SHARE", 1.0)
    noise = train_again(
        SEARCH,
        *searched("good", "bad"),
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
    with pytest.raises(RunFolderError, match="repeats is a file, and a folder is needed"):
        train_again(
            SEARCH,
            *searched("good"),
            0,
            [{}, {}],
            folder=tmp_path,
            executor=Inline(),
            clock=Clock(budget=1000.0),
            interrupted=threading.Event(),
        )
