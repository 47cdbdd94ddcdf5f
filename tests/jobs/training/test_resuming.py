"""Tests of `tunesmith.jobs.training.resuming`; test_slices.py resumes real trainings."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.jobs.run.session import Session
from tunesmith.jobs.training.resuming import REWARM, rate_ahead, resumed
from tunesmith.records.events import SliceDone, TrialEnded
from tunesmith.records.history import TrialHistory
from tunesmith.training.config import TrainConfig
from tunesmith.training.schedule import multiplier, warmup_decay

SessionIn = Callable[..., AbstractContextManager[Session]]
ENDED = TrialEnded(trial="model", reason="the horizon was reached")


def done(begin: int, end: int, rate: float) -> SliceDone:
    rows = ({"rate": rate},)
    return SliceDone(trial="model", begin=begin, end=end, seconds=1.0, checkpoint="", rows=rows)


def rates(
    session: Session, *past: SliceDone | TrialEnded, warmup: float, seen: int, end: int
) -> Callable[[int], float]:
    """The multiplier of the learning rate after a past, as a function of examples seen."""
    for event in past:
        session.record(event)
    trial: Any = type("Trial", (), {"name": "model", "config": TrainConfig(warmup=warmup)})
    segments = rate_ahead(session, trial, seen=seen, end=end)
    assert multiplier(segments, end) == 0.0
    return lambda at: multiplier(segments, at)


@pytest.fixture
def session(session_in: SessionIn, tmp_path: Path) -> Any:
    with session_in(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("warmup", [0.0, 0.1])
@pytest.mark.parametrize("end", [1010, 1100, 1500, 20_000])
def test_an_extension_rises_no_higher_than_a_training_of_its_length(
    session: Session, warmup: float, end: int
) -> None:
    past = done(0, 500, 0.5), done(500, 1000, 0.0), ENDED
    rate = rates(session, *past, warmup=warmup, seen=1000, end=end)
    planned = warmup_decay(end, warmup=warmup)
    top = max(range(1000, end + 1), key=rate)
    assert top == pytest.approx(1000 + 0.1 * (end - 1000), abs=1)
    assert rate(1000) == 0.0
    assert rate(top) == pytest.approx(REWARM if end > 2000 else multiplier(planned, 1000))


@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_the_rise_of_an_extension_that_was_cut_short_goes_on_to_its_own_top(
    session: Session, warmup: float
) -> None:
    past = done(0, 500, 0.5), done(500, 1000, 0.0), ENDED, done(1000, 1500, 0.13)
    rate = rates(session, *past, warmup=warmup, seen=1500, end=20_000)
    assert rate(1500) == pytest.approx(0.13)
    assert max(range(1500, 20_000), key=rate) == 2900
    assert rate(2900) == pytest.approx(REWARM)


def test_a_warmup_that_was_cut_short_goes_on_to_the_peak(session: Session) -> None:
    rate = rates(session, done(0, 500, 0.5), warmup=0.1, seen=500, end=10_000)
    assert (rate(500), rate(1000)) == (0.5, 1.0)


@pytest.mark.parametrize("past", [[done(0, 500, 0.9)], [done(0, 300, 0.95), done(300, 500, 0.9)]])
def test_what_falls_goes_on_to_fall(session: Session, past: list[SliceDone]) -> None:
    rate = rates(session, *past, warmup=0.0, seen=500, end=1000)
    assert rate(500) == 0.9
    assert rate(750) == pytest.approx(0.45)


def test_the_loss_and_the_batch_stay_the_last_ones() -> None:
    config = TrainConfig(batch=64)
    assert resumed(config, None) == resumed(config, TrialHistory()) == config
    assert resumed(config, TrialHistory(slices=(done(0, 9, 0.9),))) == config  # an older record
    last = replace(done(9, 18, 0.8), batch=16, robust=True)
    past = TrialHistory(slices=(replace(done(0, 9, 0.9), batch=64), last))
    assert resumed(config, past).batch == 16
    assert resumed(config, past).robust > 0
    kept = config.model_copy(update={"robust": 0.1})
    assert resumed(kept, past).robust == 0.1
