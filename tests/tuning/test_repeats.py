"""Tests of `tunesmith.tuning.repeats`."""

import math
from itertools import pairwise

import pytest

from tunesmith.records.events import SliceDone
from tunesmith.records.history import History as Past
from tunesmith.records.history import TrialHistory
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.repeats import Listed, Noise, comparable_at, noise_of


def trial(values: dict[int, float], failed: str | None = None) -> Trial:
    curve = tuple(Observation(at=at, value=value) for at, value in values.items())
    return Trial(config={}, curve=curve, failed=failed)


def searched(*trials: tuple[list[int], float]) -> tuple[History, Past]:
    """Trials by the units at which their slices ended, and the seconds that each unit took."""
    history = History(horizon=60)
    past = dict[str, TrialHistory]()
    for number, (ends, each) in enumerate(trials):
        slices = tuple(
            SliceDone(trial="", begin=begin, end=end, seconds=0.0, checkpoint="", rows=())
            for begin, end in pairwise([0, *ends])
        )
        curve = tuple(Observation(at=at, value=1.0) for at in range(1, ends[-1] + 1))
        history = history.started({}, until=60).observed(number, curve, seconds=each * ends[-1])
        past[str(number)] = TrialHistory(slices=slices)
    return history, Past(trials=past)


LONG, SHORT = [*range(2, 61, 2)], [3, 6, 60]


def test_trials_are_trained_again_as_far_as_the_share_of_the_search_reaches() -> None:
    two = searched((LONG, 1.0), (SHORT, 1.0))
    assert comparable_at(*two, [0], is_timed=False) == 2  # 3 units each, and none ended there
    assert comparable_at(*two, [0, 1], is_timed=False) == 0
    assert comparable_at(*two, [], is_timed=False) == 0
    many = searched((LONG, 1.0), (SHORT, 1.0), *[([60], 1.0)] * 7)
    assert comparable_at(*many, [0, 1], is_timed=False) == 6
    assert comparable_at(*many, [0, 1], is_timed=True) == 0  # 5.9 units: it may be slower


def test_what_trains_in_one_go_is_trained_again_in_one_go_or_not_at_all() -> None:
    whole = [([60], 1.0)]
    assert comparable_at(*searched(*whole * 9), [0], is_timed=False) == 0
    assert comparable_at(*searched(*whole * 40), [0], is_timed=False) == 60


def test_what_is_slower_than_others_is_trained_less_again() -> None:
    others = [(LONG, 1.0)] * 9
    assert comparable_at(*searched((LONG, 1.0), *others), [0], is_timed=True) == 12
    assert comparable_at(*searched((LONG, 4.0), *others), [0], is_timed=True) == 4
    both = searched((LONG, 1.0), (LONG, 4.0), *others)
    assert comparable_at(*both, [0, 1], is_timed=True) == 2


def test_where_some_of_the_processes_have_nothing_to_do_less_is_trained_again() -> None:
    equal = searched(*[(LONG, 1.0)] * 9)  # 13.5 units for each of two trainings
    for workers, at in ((1, 12), (2, 12), (4, 6)):
        assert comparable_at(*equal, [0], is_timed=False, workers=workers) == at


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


def test_the_lead_over_the_defaults_leaves_out_the_value_that_was_chosen() -> None:
    values = {0: (4.0, 5.0, 6.0), 3: (-99.0, 1.0, 2.0)}
    noise = Noise(at=4, values=values, chosen=3)
    assert noise.lead == pytest.approx(3.5 / math.sqrt(2.5 / 3 * (1 / 3 + 1 / 2)))
    worse = Noise(at=4, values={0: values[0], 3: (-99.0, 7.0, 7.0)}, chosen=3)
    assert worse.lead is not None
    assert worse.lead < 0


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ({0: (1.0, 2.0, 3.0)}, 0),  # the defaults were chosen
        ({0: (1.0, 2.0, 3.0)}, None),
        ({0: (1.0, 2.0, 3.0)}, 5),  # too few of its trainings have a value
        ({5: (1.0, 2.0, 3.0)}, 5),
        ({0: (2.0, 2.0, 2.0), 5: (1.0, 1.0, 1.0)}, 5),  # chance plays no part
    ],
)
def test_there_is_no_lead_where_nothing_can_be_compared(
    values: dict[int, tuple[float, ...]], chosen: int | None
) -> None:
    assert Noise(at=4, values=values, chosen=chosen).lead is None


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
