"""Tests of `tunesmith.tuning.repeats`."""

import math

import pytest

from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.repeats import Listed, Noise, comparable_at, noise_of


def trial(values: dict[int, float], failed: str | None = None) -> Trial:
    curve = tuple(Observation(at=at, value=value) for at, value in values.items())
    return Trial(config={}, curve=curve, failed=failed)


def test_trials_are_trained_again_as_far_as_the_share_of_the_search_reaches() -> None:
    long, short = trial(dict.fromkeys(range(2, 61, 2), 1.0)), trial({3: 1.0, 6: 1.0, 60: 1.0})
    history = History(horizon=60, trials=(long, short))
    assert comparable_at(history, [0]) == 2  # 3 units each, and there is no value at 3
    assert comparable_at(history, [0, 1]) == 0
    many = History(horizon=60, trials=(long, short, *[trial({60: 1.0})] * 7))
    assert comparable_at(many, [0, 1]) == 6


def test_where_some_of_the_processes_have_nothing_to_do_less_is_trained_again() -> None:
    measured = trial(dict.fromkeys(range(2, 61, 2), 1.0))
    history = History(horizon=60, trials=(measured,) * 9)
    assert comparable_at(history, [0], workers=1) == 12  # of 13.5 units for each of two trainings
    assert comparable_at(history, [0], workers=2) == 12
    assert comparable_at(history, [0], workers=4) == 6


def test_what_was_chosen_counts_without_the_value_that_it_was_chosen_for() -> None:
    noise = Noise(at=4, values={0: (1.0, 2.0, 3.0), 7: (-9.0, 0.5, 0.5)}, chosen=7)
    assert noise.deviation == pytest.approx(math.sqrt(2 / 3))
    assert noise.trainings == 5
    for chosen in (0, 7):
        noise = Noise(at=4, values={chosen: (-9.0, 0.0, 2.0)}, chosen=chosen)
        assert noise.deviation == pytest.approx(math.sqrt(2))
        assert noise.trainings == 2
    nothing = Noise(at=4, values={0: (1.0, 2.0, 3.0)}, chosen=None)
    assert (nothing.deviation, nothing.trainings) == (1.0, 3)


def test_values_are_compared_after_equal_training() -> None:
    found = trial({2: 5.0, 4: 3.0, 8: 1.0})
    history = History(horizon=8, trials=(trial({4: 6.0}), found))
    repeats = [trial({4: 6.5}), trial({4: 7.0}), trial({2: 4.0, 4: 3.5}), trial({4: 2.5})]
    again = History(horizon=4, trials=tuple(repeats))
    noise = noise_of(history, again, [0, 1], chosen=1)
    values = {0: (6.0, 6.5, 7.0), 1: (3.0, 3.5, 2.5)}
    assert noise == Noise(at=4, values=values, chosen=1)
    less = History(horizon=4, trials=(*repeats[:3], trial({4: 2.5}, failed="It hung.")))
    values = {0: (6.0, 6.5, 7.0)}
    assert noise_of(history, less, [0, 1], chosen=1) == Noise(at=4, values=values, chosen=1)
    assert noise_of(history, History(horizon=4), [0, 1], chosen=1) is None


def test_given_configs_are_proposed_one_after_the_other() -> None:
    proposed = Listed([{"lr": 1.0}, {"lr": 2.0, "seed": 3}])
    assert proposed({}, History(horizon=4), seed=0) == {"lr": 1.0}
    assert proposed({}, History(horizon=4, trials=(trial({}),)), seed=0) == {"lr": 2.0, "seed": 3}
