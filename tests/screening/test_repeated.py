"""Tests of `tunesmith.screening.repeated`."""

import numpy as np

from tunesmith.screening.repeated import (
    MOST_EXAMINED,
    Repeated,
    Rivals,
    distinct,
    examined,
    least_of,
    levels,
)


def test_elsewhere_is_the_most_of_all_other_positions() -> None:
    chance = np.random.default_rng(0)
    counts_PR = chance.integers(0, 5, (12, 40))  # many are equal
    rivals = Rivals(40)
    for place, counts_R in enumerate(counts_PR):
        rivals.add(place, counts_R)
    for place in range(12):
        found = rivals.elsewhere(np.arange(40), np.full(40, place))
        np.testing.assert_array_equal(found, np.delete(counts_PR, place, axis=0).max(axis=0))


def test_the_most_frequent_are_examined_and_not_all() -> None:
    assert examined(np.array([12, 60, 11, 30]), np.array([1, 0, 1, 9])).tolist() == [1, 0]
    many = np.arange(6, MOST_EXAMINED + 100)
    found = examined(many, np.zeros_like(many))
    assert len(found) == MOST_EXAMINED
    assert many[found[0]] == many.max()


def test_levels_of_both_offsets() -> None:
    gray = np.array([0, 31, 32, 255], np.uint8)
    assert levels(gray, 0).tolist() == [0, 0, 1, 7]
    assert levels(gray, 16).tolist() == [0, 1, 1, 7]


def test_parts_of_one_pattern_are_one_and_the_background_is_none() -> None:
    def at(top: int, count: int, begin: int = 0) -> Repeated:
        return Repeated(top=top, left=0, places=np.arange(begin, begin + count))

    large, part, other, far = at(0, 30), at(2, 20), at(2, 20, begin=40), at(20, 30)
    assert distinct([part, large, other, far], 1000) == (large, far, other)
    assert distinct([at(0, 600), at(2, 20)], 1000) == ()
    assert distinct([], 0) == ()


def test_least() -> None:
    assert (least_of(10), least_of(50_000)) == (8, 50)
