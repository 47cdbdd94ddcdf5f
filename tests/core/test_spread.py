"""Tests of `tunesmith.core.spread`."""

import numpy as np
import pytest

from tunesmith.core.spread import spread


@pytest.mark.parametrize("count", [1, 7, 100, 999, 1000, 5000])
def test_it_takes_different_entries_in_their_order(count: int) -> None:
    some = spread(np.arange(1000) * 3, count)
    assert len(some) == min(count, 1000)
    assert (np.diff(some) > 0).all()


def test_each_class_of_a_sorted_list_is_there_in_its_proportion() -> None:
    labels = np.repeat(np.arange(10), 500)
    assert np.bincount(spread(labels, 1000)).tolist() == [100] * 10


def test_of_nothing_it_takes_nothing() -> None:
    assert len(spread(np.zeros(0, np.int64), 10)) == 0
