"""Tests of `tunesmith.tuning.room`."""

from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.room import superfluous


def trial(*values: float, at: int = 4) -> Trial:
    """A trial with its last value after some units of 10; others came before it, one for each."""
    first = at - len(values) + 1
    curve = tuple(Observation(at=n, value=value) for n, value in enumerate(values, start=first))
    return Trial(config={}, curve=curve, seconds=float(at))


HISTORY = History(
    horizon=10,
    trials=(
        trial(0.9),
        trial(0.3, at=10),
        trial(0.2, at=10),
        trial(0.4, at=10),
        trial(0.8),
        trial(0.1),
        trial(0.7),
    ),
)
SIZES = dict.fromkeys(range(7), 10)


def test_nothing_goes_while_there_is_room() -> None:
    assert superfluous(HISTORY, SIZES, 70) == []
    assert superfluous(History(horizon=10), {}, 0) == []


def test_finished_trials_that_are_beaten_go_first_and_paused_ones_next() -> None:
    assert superfluous(HISTORY, SIZES, 69) == [3]
    assert superfluous(HISTORY, SIZES, 50) == [3, 1]
    assert superfluous(HISTORY, SIZES, 49) == [3, 1, 4]


def test_the_defaults_and_the_best_of_all_and_of_the_finished_stay_in_any_case() -> None:
    assert superfluous(HISTORY, SIZES, 0) == [3, 1, 4, 6]
    best_first = History(horizon=10, trials=(trial(0.05), *HISTORY.trials[1:]))
    assert superfluous(best_first, SIZES, 0) == [3, 1, 4, 6]


def test_of_equal_ones_the_first_stays() -> None:
    equal = History(horizon=10, trials=(trial(0.9), trial(0.2, at=10), trial(0.2, at=10)))
    assert superfluous(equal, dict.fromkeys(range(3), 10), 0) == [2]


def test_what_runs_and_what_has_no_folder_stays() -> None:
    running = HISTORY.resumed(4, until=6)
    assert superfluous(running, SIZES, 0) == [3, 1, 6]
    assert superfluous(HISTORY, {**SIZES, 4: 0}, 0) == [3, 1, 6]
    gone = HISTORY.dropped(4)
    assert superfluous(gone, {n: size for n, size in SIZES.items() if n != 4}, 0) == [3, 1, 6]


def test_what_failed_later_goes_where_another_that_trains_no_more_beats_it() -> None:
    failed = HISTORY.failed(4, "Memory.").failed(5, "Memory.")
    assert superfluous(failed, SIZES, 0) == [4, 3, 1, 2, 6]
    assert superfluous(failed, SIZES, 0, suspended=[4]) == [3, 1, 2, 6]
    untrained = History(horizon=10, trials=(trial(0.9), Trial(config={}, failed="Memory.")))
    assert superfluous(untrained, {0: 10, 1: 10}, 0) == []


def test_the_least_promising_goes_first_whatever_it_has_reached() -> None:
    falling, flat = trial(0.8, 0.75, 0.7), trial(0.68, 0.68, 0.68)
    history = History(horizon=10, trials=(trial(0.9), falling, flat, trial(0.1)))
    assert superfluous(history, dict.fromkeys(range(4), 10), 0) == [2, 1]


def test_so_many_of_the_largest_may_be_there_in_any_case() -> None:
    assert superfluous(HISTORY, SIZES, 0, folders=7) == []
    assert superfluous(HISTORY, SIZES, 0, folders=5) == [3, 1]
    assert superfluous(HISTORY, SIZES, 60, folders=5) == [3]
    # Once the largest is gone, so is the room for it: asked again, nothing else goes.
    sizes = {**SIZES, 3: 30}
    assert superfluous(HISTORY, sizes, 0, folders=2) == [3, 1, 4, 6]
    left = {number: size for number, size in sizes.items() if number not in {3, 1, 4, 6}}
    assert superfluous(HISTORY, left, 0, folders=2) == []
