"""Tests of `tunesmith.evaluation.swaps`."""

import numpy as np
import pytest

from tunesmith.evaluation.swaps import TELLING, swapped


def test_what_comes_back_from_no_class_is_unfamiliar_only() -> None:
    plain = np.diag([50, 50, 50])
    assert swapped(plain, np.array([[0, 50, 0], [0, 50, 0], [0, 50, 0]])) == 0
    assert swapped(plain, np.array([[0, 50, 0], [10, 40, 0], [0, 0, 50]])) == pytest.approx(0.2)


def test_what_is_confused_anyway_is_not_the_changes_doing() -> None:
    alike = np.array([[30, 20], [15, 35]])
    assert swapped(alike, alike) == 0
    assert swapped(alike, np.array([[20, 30], [25, 25]])) == pytest.approx(0.2)


def test_one_pair_of_many_classes_shows() -> None:
    plain = np.diag([TELLING] * 43)
    changed = plain.copy()
    changed[[7, 8]] = changed[[8, 7]]
    assert swapped(plain, changed) == 1


def test_rare_classes_tell_nothing() -> None:
    """Of a handful of images, a few may be wrong both ways by chance."""
    plain, changed = np.diag([3, 3, 90]), np.array([[0, 3, 0], [3, 0, 0], [0, 0, 90]])
    assert swapped(plain, changed) == 0
    assert swapped(np.diag([3, 3, 5]), np.diag([3, 3, 5])) is None
