"""Tests of `tunesmith.screening.signatures`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.signatures import APART, part_classes

CLASSES, EACH, FEATURES = 5, 300, 100
Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def features() -> tuple[Features, Labels]:
    """Classes that differ in their means, and vary most along some common directions."""
    chance = np.random.default_rng(0)
    labels_N = np.repeat(np.arange(CLASSES), EACH)
    mixed_DD = chance.normal(size=(FEATURES, FEATURES)) * np.geomspace(10, 0.1, FEATURES)
    f_ND = chance.normal(size=(len(labels_N), FEATURES)) @ mixed_DD.T
    f_ND += 50 * chance.normal(size=(CLASSES, FEATURES))[labels_N]
    return f_ND.astype(np.float32), labels_N


def test_clean_classes_do_not_fall_apart() -> None:
    assert max(each.apart for each in part_classes(*features(), CLASSES)) < APART


@pytest.mark.parametrize("count", [30, 140])
def test_images_that_are_there_for_another_reason_are_found(count: int) -> None:
    f_ND, labels_N = features()
    poisoned = np.arange(2 * EACH, 2 * EACH + count)
    # A small step beside how far the class reaches along its widest directions.
    f_ND[poisoned] += 8 * np.random.default_rng(1).normal(size=FEATURES).astype(np.float32)
    found = part_classes(f_ND, labels_N, CLASSES)
    assert sorted(found[2].places) == poisoned.tolist()
    assert found[2].apart > APART
    assert max(each.apart for k, each in enumerate(found) if k != 2) < APART


def test_classes_of_few_images_or_none_are_left_alone() -> None:
    f_ND, labels_N = features()
    kept = np.flatnonzero(
        (labels_N != 1) & ((labels_N != 3) | (np.arange(len(labels_N)) % 20 == 0))
    )
    found = part_classes(f_ND[kept], labels_N[kept], CLASSES)
    assert [each.apart > 0 for each in found] == [True, False, True, False, True]
    assert len(found[1].places) == len(found[3].places) == 0


def test_a_network_without_features() -> None:
    labels_N = np.repeat([0, 1], 100)
    found = part_classes(np.zeros((200, 0), np.float32), labels_N, 2)
    assert [each.apart for each in found] == [0, 0]
