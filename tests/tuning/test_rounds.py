"""Tests of `tunesmith.tuning.rounds`."""

from tunesmith.tuning.protocols import Decision, History, Observation, Resume, Start, Stop
from tunesmith.tuning.rounds import Rounds


def decide(history: History, until: int, *, may_start: bool = True, first: int = 0) -> Decision:
    rounds = Rounds(first=first, trials=2, block=2, until=until)
    return rounds(history, spent=0.0, may_start=may_start, seed=0)


def trained(history: History, number: int, until: int) -> History:
    point = Observation(at=until, value=1.0)
    return history.resumed(number, until=until).observed(number, (point,), seconds=1.0)


def test_each_round_trains_the_first_trials_for_a_block() -> None:
    history = History(horizon=9)
    assert decide(history, 2) == Start(2)
    history = trained(history.started({}, until=2), 0, 2)
    assert decide(history, 2) == Start(2)
    assert isinstance(decide(history, 2, may_start=False), Stop)
    history = trained(history.started({}, until=2), 1, 2)
    assert isinstance(decide(history, 2), Stop)
    assert decide(history, 4) == Resume(0, 4)
    assert decide(history.resumed(0, until=4), 4) == Resume(1, 4)
    history = trained(trained(history, 0, 4), 1, 4)
    assert isinstance(decide(history, 4), Stop)


def test_another_takes_the_place_of_one_that_failed_and_trains_in_blocks_too() -> None:
    history = History(horizon=9).started({}, until=2).failed(0, "It hung.").started({}, until=2)
    assert decide(history, 6) == Start(2)
    history = trained(trained(history, 1, 6).started({}, until=2), 2, 2)
    assert decide(history, 6) == Resume(2, 4)
    assert decide(history, 3) == Resume(2, 3)


def test_trials_before_the_first_are_left_alone() -> None:
    history = trained(History(horizon=9).started({}, until=2), 0, 2)
    assert decide(history, 4) == Resume(0, 4)
    assert decide(history, 4, first=1) == Start(2)
    history = trained(history.started({}, until=2), 1, 2)
    assert decide(history, 4, first=1) == Resume(1, 4)
