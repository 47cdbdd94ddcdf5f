"""Tests of `tunesmith.plan.race`."""

import pytest

from tunesmith.plan.race import (
    after_tuning,
    continued,
    expected,
    is_hopeless,
    is_worth_racing,
    is_worth_trying,
    pays_together,
    race_words,
    unraced_words,
    untried_words,
)


@pytest.mark.parametrize(
    ("brief", "worth"), [(0.1, True), (0.89, True), (0.9, False), (1.0, False)]
)
def test_what_is_learned_at_once_needs_no_help(brief: float, worth: bool) -> None:
    assert is_worth_trying(brief, 0.0) is worth
    assert is_worth_trying(brief, 0.995) or brief == 1.0


@pytest.mark.parametrize(
    ("scratch", "pretrained", "open_"), [(0.9, 0.89, True), (0.9, 0.86, False), (1.0, 0.9, False)]
)
def test_what_promises_much_less_is_not_raced(
    scratch: float, pretrained: float, *, open_: bool
) -> None:
    assert is_worth_racing(scratch, pretrained) is open_


@pytest.mark.parametrize(
    ("scratch", "pretrained", "hopeless"), [(0.6, 0.9, True), (0.81, 0.9, False), (0.9, 0.6, False)]
)
def test_what_is_far_behind_need_not_be_tried(
    scratch: float, pretrained: float, *, hopeless: bool
) -> None:
    assert is_hopeless(scratch, pretrained) is hopeless


@pytest.mark.parametrize("examples", [0, 100, 20_000, 10**6])
def test_fine_tuning_is_expected_to_bring_something_but_not_all(examples: int) -> None:
    tuned = after_tuning(0.7, examples)
    assert 0.7 <= tuned <= after_tuning(0.7, 20_000) < 0.9
    assert after_tuning(1.0, examples) == 1.0


def test_reasons_give_the_numbers() -> None:
    words = unraced_words({"new": 0.74, "old": 0.78}, {"new": 0.91, "old": 0.79})
    assert words.startswith("new goes on: ")
    assert words.endswith(
        "gave 74.0 % right, and a head on features learned from photographs 78.0 %; to be expected "
        "at the end: about 91 % and 79 %."
    )
    assert untried_words(0.97).endswith(
        "97.0 % right, so features learned from photographs were not tried."
    )
    assert untried_words(0.5, 0.25).endswith(
        "a head on features learned from photographs only 25.0 %."
    )
    scores = {"new": 0.5, "old": 0.625}
    assert "new 50.0 % right, old 62.5 %. old goes on" in race_words("old", scores, scores)
    words = race_words("new", scores, {"new": 0.8, "old": 0.75})
    assert "to be expected at the end: about 80 % and 75 %. new goes on" in words
    assert race_words("new", scores, scores, together=True).endswith("62.5 %. Both go on.")


@pytest.mark.parametrize(("scratch", "winner"), [(0.6, False), (0.74, True), (0.8, True)])
def test_a_network_from_scratch_is_expected_to_gain_more(scratch: float, *, winner: bool) -> None:
    ahead = expected(scratch, pretrained=False, longer=10) > expected(
        0.78, pretrained=True, longer=10
    )
    assert ahead is winner
    assert expected(1.0, pretrained=False, longer=10) == 1.0


def test_a_pretrained_network_that_hardly_trains_hardly_gains() -> None:
    gains = [expected(0.9, pretrained=True, longer=longer) for longer in (1, 2, 10, 100)]
    assert gains[0] == pytest.approx(0.9)
    assert gains[0] < gains[1] < gains[2] < gains[3]
    assert expected(0.72, pretrained=False, longer=10) < expected(0.92, pretrained=True, longer=1)


@pytest.mark.parametrize(
    ("first", "second", "budget", "together"),
    [
        (0.9, 0.895, 1800, True),
        (0.9, 0.88, 1800, False),
        (0.88, 0.9, 1800, True),
        (0.9, 0.86, 1800, False),
        (0.9, 0.9, 60, False),
        (1.0, 1.0, 1800, True),
    ],
)
def test_two_go_on_if_neither_is_much_worse_and_there_is_time(
    first: float, second: float, budget: float, *, together: bool
) -> None:
    assert pays_together(first, second, budget=budget) is together


def test_a_curve_is_continued_as_it_began() -> None:
    steep, flat = [(400, 0.14), (4000, 0.75)], [(400, 0.2), (4000, 0.37)]
    ends = [continued(points, 40_000) for points in (steep, flat)]
    assert 0.75 < ends[0] < 1
    assert 0.37 < ends[1] < 0.6
    # The same power between any two points of the curve.
    middle = continued(steep, 12_000)
    assert continued([steep[0], (12_000, middle)], 40_000) == pytest.approx(ends[0])
    # What does not learn, is perfect, or was judged once only, is expected to stay as it is.
    assert continued([(400, 0.3), (4000, 0.25)], 40_000) == 0.25
    assert continued([(400, 0.3), (4000, 1.0)], 40_000) == 1.0
    assert continued(steep[1:], 40_000) == continued(steep, 4000) == 0.75
