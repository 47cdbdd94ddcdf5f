"""Tests of `tunesmith.data.taker`; test_split.py has the laws over random data."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.data.taker import Taker

Taken = tuple[NDArray[np.int64], NDArray[np.int64]]


def take(labels: NDArray[np.int64], groups: NDArray[np.int64], wanted: float, seed: int) -> Taken:
    classes = int(labels.max()) + 1
    taker = Taker(labels=labels, groups=groups, classes=classes, seed=seed, stated="groups")
    return taker(np.arange(len(labels)), "test", wanted, 10_000)


@pytest.mark.parametrize("each", [5, 25, 400])  # below, near and far above a class's share of 20
def test_each_class_is_in_a_subset_whatever_the_size_of_its_groups(each: int) -> None:
    groups = np.arange(60 * each) // each
    labels = groups // 6
    for seed in range(5):
        rest, taken = take(labels, groups, 200, seed)
        assert np.bincount(labels[taken]).tolist() == [max(20, each)] * 10
        assert not np.isin(groups[taken], groups[rest]).any()


def test_a_subset_has_its_size_where_each_group_has_images_of_several_classes() -> None:
    """Ten classes, listed one after the other; of each, every patient has some images."""
    chance = np.random.default_rng(0)
    labels, groups = np.repeat(np.arange(10), 300), chance.integers(0, 100, 3000)
    for seed in range(5):
        rest, taken = take(labels, groups, 600, seed)
        assert len(taken) == pytest.approx(600, abs=30)
        assert np.bincount(labels[taken]) == pytest.approx(60, abs=20)
        assert not np.isin(groups[taken], groups[rest]).any()


def test_a_film_that_shows_all_classes_is_taken_once() -> None:
    groups = np.repeat(np.arange(4), [1600, 1500, 1500, 1400])
    rest, taken = take(np.arange(6000) % 2, groups, 100, 0)
    assert set(groups[taken]) == {3}
    assert set(groups[rest]) == {0, 1, 2}


def test_the_last_group_of_a_class_is_not_taken() -> None:
    labels = np.repeat([0, 1], [1000, 50])
    groups = np.where(labels == 1, 1000, np.arange(1050))
    rest, taken = take(labels, groups, 100, 0)
    assert np.bincount(labels[taken], minlength=2).tolist() == [95, 0]
    assert len(rest) == 955
