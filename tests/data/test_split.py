"""Tests of `tunesmith.data.split`: laws over random data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.data.sources import Given
from tunesmith.data.split import Split, split

PARTS = ("train", "validation", "selection", "calibration", "test", "leaks")
Case = tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64], int, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Labels, stated parts and groups of equal images, some of them large."""
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    classes = draw(st.integers(2, 6))
    count = draw(st.sampled_from([40, 200, 3600, 5000]))
    labels = np.concatenate([np.repeat(np.arange(classes), 4), rng.integers(0, classes, count)])
    groups = np.arange(len(labels))
    twins = rng.integers(0, len(labels), draw(st.integers(0, len(labels) // 8)))
    groups[twins] = groups[rng.integers(0, len(labels), len(twins))]
    stated = draw(st.sampled_from(["nothing", "test", "both"]))
    given_part = np.zeros(len(labels), np.int8)
    if stated != "nothing":
        given_part[:] = Given.TRAIN
        given_part[rng.random(len(labels)) < 0.2] = Given.TEST
    if stated == "both":
        given_part[(rng.random(len(labels)) < 0.1) & (given_part != Given.TEST)] = Given.VALIDATION
    return labels, given_part, groups, classes, seed


def of(parts: Split) -> dict[str, NDArray[np.int64]]:
    return {name: getattr(parts, name) for name in PARTS}


@settings(max_examples=60)
@given(cases())
def test_parts_are_disjoint_and_cover_everything(case: Case) -> None:
    labels, stated, groups, classes, seed = case
    parts = of(split(labels, stated, groups, classes=classes, seed=seed))
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(len(labels)))


@settings(max_examples=60)
@given(cases())
def test_equal_images_are_never_on_two_sides(case: Case) -> None:
    labels, stated, groups, classes, seed = case
    found = split(labels, stated, groups, classes=classes, seed=seed)
    owner: dict[int, str] = {}
    for name, rows in of(found).items():
        if name != "leaks":
            for group in groups[rows]:
                assert owner.setdefault(int(group), name) == name
    if found.folds is not None:
        for group in np.unique(groups[found.train]):
            assert len(np.unique(found.folds[groups[found.train] == group])) == 1


@settings(max_examples=60)
@given(cases())
def test_a_stated_test_part_is_not_changed_and_its_twins_are_listed(case: Case) -> None:
    labels, stated, groups, classes, seed = case
    parts = split(labels, stated, groups, classes=classes, seed=seed)
    given_test = np.flatnonzero(stated == Given.TEST)
    if len(given_test):
        np.testing.assert_array_equal(parts.test, given_test)
        twins = np.isin(groups, groups[given_test]) & (stated != Given.TEST)
        np.testing.assert_array_equal(parts.leaks, np.flatnonzero(twins))
    else:
        assert len(parts.leaks) == 0


@settings(max_examples=40)
@given(cases())
def test_equal_seeds_split_alike(case: Case) -> None:
    labels, stated, groups, classes, seed = case
    first = split(labels, stated, groups, classes=classes, seed=seed)
    again = split(labels, stated, groups, classes=classes, seed=seed)
    for name, rows in of(first).items():
        np.testing.assert_array_equal(rows, getattr(again, name))


def test_every_class_keeps_a_training_image() -> None:
    labels = np.array([0, 0, 1, 1] + [2] * 5000)
    none = np.zeros(len(labels), np.int8)
    parts = split(labels, none, np.arange(len(labels)), classes=3, seed=0)
    assert set(labels[parts.train]) == {0, 1, 2}


@pytest.mark.parametrize(("count", "held"), [(60_000, 3000), (200_000, 5000)])
def test_sizes_are_shares_with_a_cap_and_classes_keep_their_balance(count: int, held: int) -> None:
    labels = np.arange(count) % 10
    stated = np.full(count, Given.TRAIN, np.int8)
    stated[:10] = Given.TEST
    parts = split(labels, stated, np.arange(count), classes=10, seed=0)
    assert len(parts.validation) == pytest.approx(held, abs=10)
    assert len(parts.selection) == pytest.approx(min(2000, 0.02 * count), abs=30)
    assert len(parts.calibration) == pytest.approx(min(2000, 0.02 * count), abs=30)
    for rows in (parts.train, parts.validation, parts.selection):
        counts = np.bincount(labels[rows], minlength=10)
        assert counts.max() - counts.min() <= 2


def test_small_data_have_folds_of_equal_size() -> None:
    labels = np.arange(1000) % 10
    none = np.zeros(1000, np.int8)
    parts = split(labels, none, np.arange(1000), classes=10, seed=0)
    assert parts.folds is not None
    assert len(parts.test) == 200
    assert len(parts.validation) == 0
    assert np.ptp(np.bincount(parts.folds)) <= 1
    table = np.zeros((10, 5), int)
    np.add.at(table, (labels[parts.train], parts.folds), 1)
    assert np.ptp(table) <= 1
