"""Tests of `tunesmith.data.split`: laws over random data."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.source import Given
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


@settings(max_examples=60)
@given(cases())
def test_every_class_keeps_a_training_image(case: Case) -> None:
    labels, stated, groups, classes, seed = case
    is_leaked = np.isin(groups, groups[stated == Given.TEST])
    assume(set(labels[~is_leaked & (stated != Given.VALIDATION)]) == set(range(classes)))
    parts = split(labels, stated, groups, classes=classes, seed=seed)
    assert set(labels[parts.train]) == set(range(classes))


def test_so_does_a_rare_class_and_one_whose_images_are_twins_of_another() -> None:
    labels = np.array([0, 0, 1, 1] + [2] * 5000 + [3, 3])
    groups = np.arange(len(labels))
    groups[-2:] = groups[4:6]
    none = np.zeros(len(labels), np.int8)
    for seed in range(30):
        parts = split(labels, none, groups, classes=4, seed=seed)
        assert set(labels[parts.train]) == {0, 1, 2, 3}


@pytest.mark.parametrize(("classes", "each"), [(1000, 20), (200, 20), (1000, 50), (2, 2000)])
def test_parts_have_their_size_however_many_the_classes(classes: int, each: int) -> None:
    labels = np.arange(classes * each) % classes
    none = np.zeros(len(labels), np.int8)
    parts = split(labels, none, np.arange(len(labels)), classes=classes, seed=0)
    rest = len(labels) - len(parts.test)
    assert len(parts.test) == min(10_000, round(0.2 * len(labels)))
    assert len(parts.validation) == round(0.05 * rest)
    assert len(parts.selection) == len(parts.calibration) == round(0.02 * rest)
    for rows in of(parts).values():
        assert len(rows) == 0 or np.ptp(np.bincount(labels[rows], minlength=classes)) <= 1


@pytest.mark.parametrize("classes", [2, 10, 300])
def test_the_fewest_images_still_have_a_test_part(classes: int) -> None:
    labels = np.arange(2 * classes) % classes
    none = np.zeros(len(labels), np.int8)
    parts = split(labels, none, np.arange(len(labels)), classes=classes, seed=0)
    assert len(parts.test) == round(0.4 * classes)
    assert set(labels[parts.train]) == set(range(classes))


def test_two_images_of_a_rare_class_stay_together_to_learn_from_where_others_can_serve() -> None:
    labels = np.array([0, 0] + [1] * 199 + [2] * 200)
    none = np.zeros(len(labels), np.int8)
    parts = split(labels, none, np.arange(len(labels)), classes=3, seed=0)
    assert np.count_nonzero(labels[parts.test] == 0) == 0
    assert len(parts.test) == 80


def test_one_image_many_times_does_not_make_a_part_larger() -> None:
    labels = np.arange(4000) % 2
    groups = np.where(np.arange(4000) < 1500, 0, np.arange(4000))
    none = np.zeros(4000, np.int8)
    for seed in range(10):
        parts = split(labels, none, groups, classes=2, seed=seed)
        assert len(parts.test) == 800
        assert len(parts.validation) == 160


def test_pairs_of_equal_images_can_be_tested_on() -> None:
    labels, groups = np.repeat([0, 1], 4), np.repeat([0, 1, 2, 3], 2)
    parts = split(labels, np.zeros(8, np.int8), groups, classes=2, seed=0)
    assert np.bincount(labels[parts.test]).tolist() == [2, 2]
    assert set(labels[parts.train]) == {0, 1}


@settings(max_examples=60)
@given(cases())
def test_stated_groups_stay_together_where_parts_are_cut_and_leave_no_image_out(case: Case) -> None:
    labels, part, groups, classes, seed = case
    people = np.random.default_rng(seed).integers(0, len(labels) // 2, len(labels))
    found = split(labels, part, groups, classes=classes, seed=seed, stated=people)
    alone = split(labels, part, groups, classes=classes, seed=seed)
    np.testing.assert_array_equal(found.leaks, alone.leaks)
    cut = [found.selection, found.calibration]
    if not (part == Given.TEST).any():
        cut.append(found.test)
    for rows in cut:
        assert not np.isin(people[rows], people[found.train]).any()
        assert not np.isin(groups[rows], groups[found.train]).any()
    for each in (people, groups):
        for group in np.unique(each[found.train]):
            assert len(np.unique(found.groups[found.train][each[found.train] == group])) == 1
    assert np.isin(found.tried, found.train).all()
    rest = np.setdiff1d(found.train, found.tried)
    assert len(rest)
    assert not np.isin(people[found.tried], people[rest]).any()
    assert not np.isin(groups[found.tried], groups[rest]).any()
    if found.folds is not None:
        for person in np.unique(people[found.train]):
            assert len(np.unique(found.folds[people[found.train] == person])) == 1


def patients(*, given_from: int) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """Classes, parts and patients of 4,000 images, ten of each; the last are the test part."""
    part = np.full(4000, Given.TRAIN, np.int8)
    part[given_from:] = Given.TEST
    people = np.arange(4000) // 10
    return (np.arange(4000) + people) % 2, part, people


@pytest.mark.parametrize("given_from", [3990, 1000])  # in the latter case there are folds
def test_a_copy_in_the_test_part_takes_nothing_else_of_its_patient_away(given_from: int) -> None:
    labels, part, people = patients(given_from=given_from)
    black, groups = np.arange(0, given_from, 10), np.arange(4000)
    groups[black], groups[given_from] = 0, 0
    parts = split(labels, part, groups, classes=2, seed=0, stated=people)
    assert parts.leaks.tolist() == black.tolist()
    assert sum(len(rows) for rows in of(parts).values()) == 4000
    if parts.folds is None:  # the patients had only the black image in common
        assert len(parts.validation) == pytest.approx(0.05 * 0.9 * given_from, abs=10)
        assert not np.isin(people[parts.validation], people[parts.train]).any()
    else:
        assert np.ptp(np.bincount(parts.folds)) <= 20


@pytest.mark.parametrize(("given_from", "first"), [(3600, 3001), (4000, 3010)])
def test_a_validation_image_with_a_twin_is_trained_on_and_others_of_its_patient_are_not(
    given_from: int, first: int
) -> None:
    """But where the test part is cut, all of them are: nobody may be on both sides."""
    labels, part, people = patients(given_from=given_from)
    part[3000:3600] = Given.VALIDATION
    groups = np.arange(4000)
    groups[3000] = 0
    parts = split(labels, part, groups, classes=2, seed=0, stated=people)
    held = np.concatenate([parts.validation, parts.selection, parts.calibration])
    assert sorted(held[(held >= 3000) & (held < 3600)]) == list(range(first, 3600))
    assert len(parts.leaks) == 0


def test_a_validation_part_that_copies_training_images_takes_none_of_them_away() -> None:
    labels = np.tile(np.arange(4000) % 4, 2)
    stated = np.repeat(np.array([Given.TRAIN, Given.VALIDATION], np.int8), 4000)
    parts = split(labels, stated, np.tile(np.arange(4000), 2), classes=4, seed=0)
    assert len(parts.train) > 0.7 * len(labels)
    assert len(parts.validation) == pytest.approx(0.05 * 0.8 * len(labels), abs=2)


def test_a_validation_part_serves_as_it_is() -> None:
    labels = np.arange(6400) % 4
    stated = np.where(np.arange(6400) < 6000, Given.TRAIN, Given.VALIDATION).astype(np.int8)
    parts = split(labels, stated, np.arange(6400), classes=4, seed=0)
    assert parts.validation.tolist() == list(range(6000, 6400))
    assert len(parts.test) == 1200
    assert len(parts.selection) == len(parts.calibration) == 96


@pytest.mark.parametrize("given_part", [1500, 9000])
def test_a_large_validation_part_also_selects_and_calibrates(given_part: int) -> None:
    count = 1600 + given_part
    labels, stated = np.arange(count) % 4, np.full(count, Given.VALIDATION, np.int8)
    stated[:1500] = Given.TRAIN
    stated[1500:1600] = Given.TEST
    parts = split(labels, stated, np.arange(count), classes=4, seed=0)
    assert parts.train.tolist() == list(range(1500))
    asked = (parts.selection, parts.calibration)
    assert [len(rows) for rows in asked] == [min(2000, given_part // 3)] * 2
    together = np.sort(np.concatenate([parts.validation, *asked]))
    assert together.tolist() == list(range(1600, count))
    for rows in (parts.validation, *asked):
        assert np.ptp(np.bincount(labels[rows])) <= 2


@pytest.mark.parametrize("people", [2, 3])
def test_so_does_one_of_enough_groups(people: int) -> None:
    """Of two patients, one draws the learning curve, and one cannot both select and calibrate."""
    labels, stated = np.arange(6000) % 2, np.full(6000, Given.TRAIN, np.int8)
    stated[3000:5000], stated[5000:] = Given.VALIDATION, Given.TEST
    groups = np.arange(6000)
    groups[3000:5000] = 3000 + np.arange(2000) * people // 2000
    parts = split(labels, stated, np.arange(6000), classes=2, seed=0, stated=groups)
    asked = np.concatenate([parts.selection, parts.calibration])
    assert (asked >= 3000).all() == (people == 3)
    assert (asked < 3000).all() == (people == 2)
    assert len(set(groups[parts.validation])) == (1 if people == 3 else 2)


def test_nor_does_one_whose_groups_are_learned_from() -> None:
    labels, stated = np.arange(6000) // 2 % 2, np.full(6000, Given.TRAIN, np.int8)
    stated[1::2], stated[5000:] = Given.VALIDATION, Given.TEST
    groups = np.where(np.arange(6000) < 5000, np.arange(6000) // 10, np.arange(6000))
    parts = split(labels, stated, np.arange(6000), classes=2, seed=0, stated=groups)
    assert len(parts.validation) == 2500
    assert (parts.selection % 2 == 0).all()


@pytest.mark.parametrize("names", [None, ["cat", "cow", "dog", "elk"]])
def test_a_class_of_which_the_test_part_has_all_images_is_refused(names: list[str] | None) -> None:
    labels = np.concatenate([np.arange(3000) % 3, np.full(100, 3)])
    stated = np.full(3100, Given.TRAIN, np.int8)
    stated[3050:] = Given.TEST
    groups = np.concatenate([np.arange(3050), np.arange(3000, 3050)])
    shown = "elk" if names else "class 4 of 4"
    message = rf"none is left of: {shown}\. 50 images were left out, since the test part has"
    with pytest.raises(SourceError, match=message):
        split(labels, stated, groups, classes=4, seed=0, names=names)


def test_one_group_cannot_be_held_out_from_itself() -> None:
    labels, groups = np.arange(40) % 2, np.repeat([0, 1], 20)
    tell_apart = partial(split, labels, np.zeros(40, np.int8), np.arange(40), classes=2, seed=0)
    way_out = r"leave the groups \(column camera\) out by --columns group=-\.$"
    with pytest.raises(SourceError, match=f"all images to learn from are of one group.* {way_out}"):
        tell_apart(stated=groups, column="camera")
    together = r"copies, and images of one of the groups \(column camera\), stay together\."
    with pytest.raises(SourceError, match=f"{together} .* all images of a class .* {way_out}"):
        tell_apart(stated=labels, column="camera")


def test_a_test_part_that_copies_all_training_images_is_refused() -> None:
    labels = np.tile(np.arange(100) % 4, 2)
    stated = np.repeat(np.array([Given.TRAIN, Given.TEST], np.int8), 100)
    message = "none is left of: class 1 of 4, class 2 of 4, .* 1 more. 100 images were left out"
    with pytest.raises(SourceError, match=message):
        split(labels, stated, np.tile(np.arange(100), 2), classes=4, seed=0)


def test_a_class_that_is_left_in_the_validation_part_alone_is_refused() -> None:
    labels = np.concatenate([np.arange(4000) % 2, np.full(5, 2)])
    stated = np.full(4005, Given.TRAIN, np.int8)
    stated[4000:] = Given.VALIDATION
    stated[:100] = Given.TEST
    with pytest.raises(
        SourceError, match=r"none is left of: class 3 of 3\. Those that can be decoded"
    ):
        split(labels, stated, np.arange(4005), classes=3, seed=0)


@pytest.mark.parametrize("groups", [[0] * 40, [0, 0, 1, 1] * 10])
def test_classes_of_one_image_each_cannot_be_tested_and_are_refused(groups: list[int]) -> None:
    labels = np.array([0, 0, 1, 1] * 10)
    with pytest.raises(SourceError, match=r"copies stay together\. .* copies\.$"):
        split(labels, np.zeros(40, np.int8), np.array(groups), classes=2, seed=0)


@pytest.mark.parametrize(("count", "held"), [(30_000, 1500), (200_000, 2000)])
def test_sizes_are_shares_with_a_cap_and_classes_keep_their_balance(count: int, held: int) -> None:
    labels = np.arange(count) % 10
    stated = np.full(count, Given.TRAIN, np.int8)
    stated[:10] = Given.TEST
    parts = split(labels, stated, np.arange(count), classes=10, seed=0)
    assert len(parts.validation) == pytest.approx(held, abs=10)
    assert len(parts.selection) == pytest.approx(min(2000, 0.02 * count), abs=30)
    assert len(parts.calibration) == pytest.approx(min(2000, 0.02 * count), abs=30)
    assert len(parts.validation) + len(parts.tried) == pytest.approx(2000, abs=10)
    for rows in (parts.train, parts.validation, parts.selection):
        counts = np.bincount(labels[rows], minlength=10)
        assert counts.max() - counts.min() <= 2


def test_a_fifth_of_a_few_thousand_images_is_tried() -> None:
    labels, none = np.arange(5000) % 10, np.zeros(5000, np.int8)
    parts = split(labels, none, np.arange(5000), classes=10, seed=0)
    assert len(parts.validation) + len(parts.tried) == pytest.approx(0.2 * 4000, abs=10)


def test_where_one_group_is_left_it_is_trained_on() -> None:
    """Beside one patient, there are just as many images as the other sets are to have."""
    people = np.concatenate([np.repeat(0, 3000), np.arange(1, 1098)])
    labels, given_part = np.arange(4097) % 2, np.full(4097, Given.TRAIN, np.int8)
    given_part[-800:] = Given.TEST
    parts = split(labels, given_part, np.arange(4097), classes=2, seed=0, stated=people)
    assert (set(people[parts.train]), len(parts.tried)) == ({0}, 0)


@pytest.mark.parametrize(("films", "folds"), [(3, 2), (4, 3), (5, 4), (8, 5)])
def test_many_images_of_few_groups_have_folds_of_whole_groups(films: int, folds: int) -> None:
    """Each film shows both classes; with a part of their own, few would be left to learn from."""
    people = np.repeat(np.arange(films), 1600)
    labels, none = np.arange(len(people)) % 2, np.zeros(len(people), np.int8)
    parts = split(labels, none, np.arange(len(people)), classes=2, seed=0, stated=people)
    assert len(set(people[parts.test])) == max(1, round(films / 5))
    assert len(parts.train) + len(parts.test) == len(people)
    assert parts.folds is not None
    assert parts.folds.max() + 1 == folds
    for film in set(people[parts.train]):
        assert np.ptp(parts.folds[people[parts.train] == film]) == 0


def test_enough_groups_are_held_out() -> None:
    people = np.repeat(np.arange(30), 300)
    labels, none = np.arange(9000) % 2, np.zeros(9000, np.int8)
    parts = split(labels, none, np.arange(9000), classes=2, seed=0, stated=people)
    assert parts.folds is None
    assert [len(set(people[rows])) for rows in of(parts).values()] == [21, 1, 1, 1, 6, 0]


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


def test_a_validation_part_of_a_handful_is_filled_up() -> None:
    labels, given_part = np.arange(5232) % 2, np.zeros(5232, np.int8)
    given_part[:16] = Given.VALIDATION
    parts = split(labels, given_part, np.arange(5232), classes=2, seed=0)
    assert set(range(16)) <= set(parts.validation.tolist())
    assert len(parts.validation) == pytest.approx(0.05 * 4172, rel=0.02)
    assert np.bincount(labels[parts.validation]).tolist() == pytest.approx([104, 104], abs=2)
