"""Tests of `tunesmith.jobs.search.cooldowns`."""

from dataclasses import replace
from typing import Any

import pytest
from tests.jobs.search.conftest import SEARCH

from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.search.cooldowns import (
    FEWEST,
    LONGER,
    MOST,
    SHARE,
    STARTING_S,
    affordable,
    reserved_s,
)
from tunesmith.jobs.search.slices import COOLING
from tunesmith.plan import UNITS, SearchPlan
from tunesmith.tuning.protocols import Observation, Trial
from tunesmith.tuning.timing import SLACK


def test_a_search_leaves_time_for_two_or_more_or_for_none(candidate: Candidate) -> None:
    search = SearchPlan(examples=10_000, trials=None, workers=1)
    chosen = candidate.chosen.model_copy(update={"images_per_s": 100.0, "search": search})
    scale = chosen.train.early_scale
    held = 300  # of the 500 images that a slice would be validated on
    unit_s = 100 / UNITS + held / chosen.answers_per_s
    each_s = LONGER * SLACK * COOLING * unit_s * (1 + scale**2) / 2
    two_s, three_s = STARTING_S + FEWEST * each_s, STARTING_S + MOST * each_s
    least_s = two_s / SHARE
    assert reserved_s(chosen, held, 0.0, least_s - 1) == 0
    assert reserved_s(chosen, held, 0.0, least_s + 1e-6) == pytest.approx(two_s)
    assert reserved_s(chosen, held, 0.0, 10_000.0) == pytest.approx(three_s)
    # Of a search that was killed before its end, too.
    assert reserved_s(chosen, held, least_s, two_s + 1e-6) == pytest.approx(two_s)
    assert reserved_s(chosen, held, least_s, two_s - 1) == 0
    # What trains the network answers as fast, where the CPU does not.
    slow = chosen.model_copy(update={"answers_per_s": 1.0})
    assert 0 < reserved_s(slow, held, 0.0, 10_000.0) < 2 * three_s
    given = search.model_copy(update={"trials": 20})
    assert reserved_s(chosen.model_copy(update={"search": given}), held, 0.0, 10_000.0) == 0


@pytest.mark.parametrize(
    ("workers", "trained_s", "units", "count"),
    [
        (1, 6.8, None, 0),  # each takes 3 units of a second, and somewhat longer
        (1, 7.0, None, 2),
        (1, 10.4, None, 3),
        (2, 3.4, None, 0),
        (2, 3.5, None, 2),
        (2, 7.0, None, 3),
        (6, 1.8, None, 3),  # three processes have the cores of six
        (1, 100.0, 5 * 3, 0),
        (1, 100.0, 5 * 4, 2),
        (1, 100.0, 5 * 6, 3),
        (1, 3.0, 5 * 100, 0),
    ],
)
def test_as_many_are_cooled_down_as_there_is_time_for(
    workers: int, trained_s: float, units: int | None, count: int
) -> None:
    trials = [Trial(config={}, curve=(Observation(at=2, value=0.5),), seconds=2.0)] * MOST
    search, none = replace(SEARCH, units=units), [0] * MOST
    given: dict[str, Any] = {"scale": 1.0, "workers": workers, "left_s": STARTING_S + trained_s}
    assert affordable(search, trials, none, **given) == count
    assert affordable(search, trials[:1], none, **given) == 0


def test_images_of_full_size_take_longer_than_the_search_has_seen() -> None:
    trials = [Trial(config={}, curve=(Observation(at=1, value=0.5),), seconds=1.0)] * FEWEST
    small_s = STARTING_S + FEWEST * SLACK * COOLING * (1 + 4) / 2
    for left_s, count in ((small_s - 0.1, 0), (small_s + 0.1, FEWEST)):
        assert affordable(SEARCH, trials, [0, 0], scale=0.5, workers=1, left_s=left_s) == count


def test_what_a_killed_session_has_cooled_down_takes_no_time_again() -> None:
    trials = [Trial(config={}, curve=(Observation(at=1, value=0.5),), seconds=1.0)] * MOST
    given: dict[str, Any] = {"scale": 1.0, "workers": 1}
    two_s = STARTING_S + FEWEST * SLACK * COOLING
    assert affordable(SEARCH, trials, [0, 0, 0], left_s=two_s - 1.0, **given) == 0
    assert affordable(SEARCH, trials, [1, 0, 0], left_s=two_s - 1.0, **given) == FEWEST
    assert affordable(SEARCH, trials, [COOLING, COOLING, 0], left_s=0.0, **given) == FEWEST
    assert affordable(SEARCH, trials, [COOLING] * MOST, left_s=0.0, **given) == MOST
