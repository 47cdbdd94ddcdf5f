"""Tests of `tunesmith.data.clean`."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.clean import bearing, check, joined, one_of_each, twins
from tunesmith.data.loaded import Rejected
from tunesmith.data.source import Given, Source
from tunesmith.data.sources import open_source


@pytest.fixture
def source() -> Source:
    x = np.arange(40, dtype=np.uint8).repeat(4).reshape(40, 2, 2)
    return open_source((x, np.arange(40) % 4))


def rejected(source: Source, *indices: int) -> list[Rejected]:
    return [Rejected(index=i, name=source.names[i], reason="it is cut off") for i in indices]


def kept(source: Source, *without: int) -> NDArray[np.int64]:
    return np.setdiff1d(np.arange(len(source.names)), without)


def test_a_few_bad_images_are_no_reason_to_stop(source: Source) -> None:
    check(source, rejected(source, 3, 4), kept(source, 3, 4))


def test_over_a_tenth_is(source: Source) -> None:
    bad = (0, 1, 2, 3, 4)
    with pytest.raises(SourceError, match=r"5 of 40 images \(12.5 %\) .*#0: it is cut off"):
        check(source, rejected(source, *bad), kept(source, *bad))


def test_a_class_that_is_gone(source: Source) -> None:
    gone = tuple(range(1, 40, 4))
    with pytest.raises(SourceError, match=r"none is left of `1` \(of 10\)"):
        check(source, rejected(source, *gone), kept(source, *gone))


def test_a_class_with_one_image_left() -> None:
    labels = np.array([0, 0] + [1] * 98)
    source = open_source((np.zeros((100, 2, 2), np.uint8), labels))
    with pytest.raises(SourceError, match=r"at least 2 images.*only 1 can be used of `0`"):
        check(source, rejected(source, 0), kept(source, 0))


def test_a_stated_test_part_of_which_nothing_can_be_decoded(source: Source) -> None:
    given = np.full(40, Given.TRAIN, np.int8)
    given[[0, 1]] = Given.TEST
    stated = replace(source, given=given)
    check(stated, rejected(source, 0), kept(source, 0))
    with pytest.raises(SourceError, match="none of its 2 images can be decoded"):
        check(stated, rejected(source, 0, 1), kept(source, 0, 1))


def test_twins_share_a_number_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 4, 4, 1), dtype=np.uint8)
    x[7], x[20] = x[3], x[3]
    numbers = twins(x, np.zeros(30, np.int64))
    assert numbers[7] == numbers[20] == numbers[3]
    assert len(np.unique(numbers)) == 28
    with pytest.raises(ValueError, match="Each image needs a label"):
        twins(x, np.zeros(3, np.int64))


def test_groups_of_either_kind_stay_together() -> None:
    """Copies link two stated groups, and a stated group links two that are no copies."""
    copies = np.array([0, 1, 1, 2, 3])
    stated = np.array([4, 4, 9, 9, 0, 7])
    kept = np.array([0, 1, 3, 4, 5])  # the third image could not be decoded
    found = joined(copies, stated, kept)
    assert found[0] == found[1] == found[2]
    assert len(set(found.tolist())) == 3
    assert joined(copies, None, kept) is copies


def test_one_stands_for_its_group_and_brings_the_others_back() -> None:
    groups, labels = np.array([3, 0, 3, 1, 3, 0]), np.array([1, 0, 0, 1, 1, 0])
    assert one_of_each(groups, labels).tolist() == [0, 1, 2, 3]
    assert bearing(groups, np.array([2, 3])).tolist() == [0, 2, 4, 3]  # in the order asked for
    assert bearing(groups, np.zeros(0, np.int64)).tolist() == []
