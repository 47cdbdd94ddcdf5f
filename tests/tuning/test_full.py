"""Tests of `tunesmith.tuning.full`; the laws of schedulers are tested in test_contracts."""

from tunesmith.tuning.full import Full
from tunesmith.tuning.protocols import GoOn, History, Observation, Start, Stop


def test_each_trial_is_trained_to_the_end_before_the_next() -> None:
    history = History(horizon=4)
    assert Full()(history, spent=0.0, may_start=True, seed=0) == Start(4)
    history = history.started({}, until=4).observed(0, (Observation(at=2, value=1.0),), seconds=1.0)
    assert Full()(history, spent=0.0, may_start=True, seed=0) == GoOn(0, 4)
    history = history.resumed(0, until=4).observed(0, (Observation(at=4, value=1.0),), seconds=1.0)
    assert Full()(history, spent=0.0, may_start=True, seed=0) == Start(4)
    assert isinstance(Full()(history, spent=0.0, may_start=False, seed=0), Stop)
