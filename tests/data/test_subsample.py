"""Tests of `tunesmith.data.subsample`."""

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.data.source import Given, Source
from tunesmith.data.subsample import FEWEST, LEAST, thinned


def source(*, train: int, test: int, rare: int = 0) -> Source:
    labels = np.concatenate([np.arange(train) % 3, np.arange(test) % 3, np.full(rare, 3)])
    given = np.repeat([Given.TRAIN, Given.TEST, Given.TRAIN], [train, test, rare]).astype(np.int8)
    return Source(
        name="many",
        classes=("a", "b", "c", "d"),
        names=tuple(f"{n}.png" for n in range(len(labels))),
        labels=labels.astype(np.int64),
        given=given,
        read=lambda index: f"content {index}".encode(),
        skipped={},
        identity="same",
        groups=np.arange(len(labels)) // 2,
    )


def test_what_can_be_read_is_kept_as_it_is() -> None:
    whole = source(train=90, test=30)
    assert thinned(whole, 120, seed=0) is whole


def test_classes_keep_their_proportions_and_a_test_part_is_kept_whole() -> None:
    some = thinned(source(train=9000, test=300), 1200, seed=0)
    is_test = some.given == Given.TEST
    assert is_test.sum() == 300
    assert np.bincount(some.labels[~is_test]).tolist() == [300, 300, 300]


def test_a_large_test_part_is_half_of_what_is_read() -> None:
    some = thinned(source(train=3000, test=9000), 1200, seed=0)
    assert (some.given == Given.TEST).sum() == 600
    assert len(some.names) == 1200


def test_a_rare_class_does_not_go() -> None:
    some = thinned(source(train=9000, test=0, rare=8), 90, seed=0)
    assert np.bincount(some.labels).tolist() == [30, 30, 30, FEWEST]


def test_a_class_that_is_mostly_in_the_validation_part_keeps_images_to_learn_from() -> None:
    whole = source(train=9000, test=300, rare=1000)
    given = whole.given.copy()
    given[:3000], given[-1000:-8] = Given.VALIDATION, Given.VALIDATION
    for seed in range(10):
        some = thinned(replace(whole, given=given), 500, seed=seed)
        learned = np.bincount(some.labels[some.given == Given.TRAIN], minlength=4)
        assert learned[-1] == FEWEST
        share = learned[:-1].sum() / (some.given == Given.VALIDATION).sum()
        assert share == pytest.approx(6000 / 3992, rel=0.05)
        assert len(some.names) == pytest.approx(500, abs=6)


def test_of_many_classes_no_more_are_kept_than_there_is_time_for() -> None:
    some = thinned(source(train=9000, test=300, rare=8), 24, seed=0)
    is_test = some.given == Given.TEST
    assert np.bincount(some.labels[is_test]).tolist() == [4, 4, 4]
    assert np.bincount(some.labels[~is_test]).tolist() == [4, 4, 4, LEAST]
    few = thinned(source(train=9000, test=300), 3, seed=0)
    assert np.bincount(few.labels[few.given != Given.TEST]).tolist() == [LEAST] * 3


@pytest.mark.parametrize("place", [0, 5, -1])
def test_each_image_keeps_its_name_its_class_and_its_content(place: int) -> None:
    whole = source(train=900, test=90)
    some = thinned(whole, 100, seed=1)
    index = int(some.names[place].removesuffix(".png"))
    assert some.read(range(len(some.names))[place]) == whole.read(index)
    assert some.labels[place] == whole.labels[index]
    assert some.groups is not None
    assert some.groups[place] == index // 2


def test_seeds_choose_and_equal_ones_choose_alike() -> None:
    whole = source(train=900, test=90)
    first, again, other = (thinned(whole, 100, seed=seed).names for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) == len(first)
