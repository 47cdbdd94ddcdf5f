"""Tests of `tunesmith.tuning.asha`; the laws of schedulers are tested in test_contracts."""

from tunesmith.tuning.asha import ASHA, FULL, rungs
from tunesmith.tuning.protocols import Decision, History, Observation, Resume, Start, Stop


def history(*curves: tuple[int, float]) -> History:
    """Trials that are at some unit, with some value since the beginning."""
    made = History(horizon=50)
    for number, (at, value) in enumerate(curves):
        points = tuple(Observation(at=n, value=value) for n in range(1, at + 1))
        made = made.started({}, until=at).observed(number, points, seconds=at)
    return made


def decide(history: History, *, may_start: bool = True) -> Decision:
    return ASHA()(history, spent=0.0, may_start=may_start, seed=0)


def test_rungs_are_powers_of_three_up_to_the_horizon() -> None:
    assert rungs(50, 0.02) == [1, 3, 9, 27, 50]
    assert rungs(1, 0.02) == [1]
    assert rungs(27, 1 / 27) == [1, 3, 9, 27]


def test_it_starts_where_nobody_can_be_promoted() -> None:
    assert decide(history()) == Start(1)
    assert decide(history((1, 0.5), (1, 0.4))) == Start(1)


def test_one_in_three_is_promoted() -> None:
    assert decide(history((1, 0.5), (1, 0.4), (1, 0.6))) == Resume(1, 3)
    assert decide(history((1, 0.5), (3, 0.4), (1, 0.6))) == Start(1)


def test_the_highest_rung_goes_first() -> None:
    trials = [(3, 0.1), (3, 0.2), (3, 0.3), *[(1, 0.25)] * 9]
    assert decide(history(*trials)) == Resume(0, 5)


def test_a_promotion_under_way_goes_on_in_blocks_before_anything_else() -> None:
    others = [(3, 0.1), (3, 0.2), (3, 0.3)]
    assert decide(history((5, 0.4), *others)) == Resume(0, 7)
    assert decide(history((8, 0.4), *others)) == Resume(0, 9)
    assert decide(history((5, 0.4), (7, 0.5), *others)) == Resume(1, 9)
    assert decide(history((9, 0.4), *others)) == Resume(1, 5)


def test_a_first_rung_of_many_units_is_trained_in_blocks_too() -> None:
    ask = ASHA(first=0.1)
    assert ask(history(), spent=0.0, may_start=True, seed=0) == Start(2)
    assert ask(history((4, 0.5)), spent=0.0, may_start=True, seed=0) == Resume(0, 5)


def test_where_nothing_may_start_the_best_of_the_highest_rung_goes_on() -> None:
    assert decide(history((3, 0.4), (3, 0.3)), may_start=False) == Resume(1, 5)


def test_a_trial_that_lost_its_first_rung_makes_it_up() -> None:
    """A crash can leave a trial that was started, and has no value."""
    lost = history((1, 0.1), (1, 0.2), (1, 0.3)).started({}, until=1).observed(3, (), seconds=0.0)
    assert decide(lost) == Resume(3, 1)


def test_with_one_rung_each_trial_is_trained_to_the_end_before_the_next() -> None:
    begun = history()
    assert FULL(begun, spent=0.0, may_start=True, seed=0) == Start(50)
    lost = begun.started({}, until=50).observed(0, (), seconds=0.0)
    assert FULL(lost, spent=0.0, may_start=True, seed=0) == Resume(0, 50)
    done = history((50, 0.5))
    assert FULL(done, spent=0.0, may_start=True, seed=0) == Start(50)
    assert isinstance(FULL(done, spent=0.0, may_start=False, seed=0), Stop)
