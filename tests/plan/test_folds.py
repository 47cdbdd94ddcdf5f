"""Tests of `tunesmith.plan.folds`."""

import itertools

import pytest

from tunesmith.data.split import FOLDS, SMALL
from tunesmith.plan.folds import FEWEST_PREDICTED, FOLD_SHARE, can_tune, folds_in


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("images", [2, 20, 499, 500, 1300, SMALL - 1])
def test_more_time_predicts_more_folds(images: int, *, pretrained: bool) -> None:
    found = [
        folds_in(images, seconds=seconds, images_per_s=400, pretrained=pretrained)
        for seconds in (0, 3, 10, 30, 100, 300, 1000)
    ]
    assert all(1 <= count <= FOLDS for count, _ in found)
    assert all(one <= other for one, other in itertools.pairwise(found))
    assert found[-1] == (FOLDS, FOLD_SHARE)
    # However little time there is, what is predicted is enough for a temperature, or everything.
    fewest = min(images, FEWEST_PREDICTED)
    assert all(count * images / FOLDS >= fewest or count == FOLDS for count, _ in found)


def test_no_fold_gets_more_time_than_the_final_training() -> None:
    for seconds in range(1, 200):
        count, share = folds_in(1500, seconds=seconds, images_per_s=300, pretrained=False)
        assert share / count <= 1 - share


def test_where_no_fold_can_be_tuned_more_time_helps() -> None:
    for images in (20, 300, 2900):
        found = [
            can_tune(images, folds=FOLDS, seconds=seconds, images_per_s=50)
            for seconds in range(0, 500, 5)
        ]
        assert not found[0]
        assert found[-1]
        assert found == sorted(found)
