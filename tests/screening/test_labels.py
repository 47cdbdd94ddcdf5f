"""Tests of `tunesmith.screening.labels`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.labels import find_doubted, rank_labels, seconded, thresholds

CLASSES, IMAGES = 4, 2000


def classifier(
    seed: int, *, wrong: float, sure: float = 4.0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Probabilities of a good classifier, labels of which a share is wrong, and which those are."""
    chance = np.random.default_rng(seed)
    true_N = chance.integers(0, CLASSES, IMAGES)
    z_NK = chance.normal(size=(IMAGES, CLASSES)) + sure * np.eye(CLASSES)[true_N]
    p_NK = np.exp(z_NK) / np.exp(z_NK).sum(axis=1, keepdims=True)
    is_wrong = chance.random(IMAGES) < wrong
    y_N = np.where(is_wrong, (true_N + chance.integers(1, CLASSES, IMAGES)) % CLASSES, true_N)
    return p_NK, y_N, is_wrong


@pytest.mark.parametrize("wrong", [0.05, 0.2])
def test_wrong_labels_come_first(wrong: float) -> None:
    p_NK, y_N, is_wrong = classifier(0, wrong=wrong)
    ranking = rank_labels(p_NK, y_N)
    assert is_wrong[ranking.places[: int(is_wrong.sum())]].mean() > 0.9
    assert is_wrong[ranking.places[ranking.suspected]].mean() > 0.9
    assert is_wrong[ranking.places[~ranking.suspected]].mean() < 0.05
    assert sorted(ranking.places) == list(range(IMAGES))
    assert (np.diff(ranking.margins) >= 0).all()


def test_right_labels_are_hardly_suspected() -> None:
    ranking = rank_labels(*classifier(1, wrong=0.0)[:2])
    assert ranking.suspected.mean() < 0.01


def test_what_networks_are_surest_of_counts_only_where_they_are_right() -> None:
    p_NK, y_N, is_wrong = classifier(4, wrong=0.05)
    honest = rank_labels(p_NK, y_N)
    listed = honest.places[honest.sure()]
    assert len(listed) > 50
    assert is_wrong[listed].mean() > 0.95
    wild = np.flatnonzero(~is_wrong)[:20]  # of these it knows nothing, and is surest
    p_NK[wild] = np.eye(CLASSES)[(y_N[wild] + 1) % CLASSES]
    ranking = rank_labels(p_NK, y_N)
    assert set(ranking.places[:20]) == set(wild)
    assert not np.isin(wild, ranking.places[ranking.sure()]).any()
    assert np.isin(listed, ranking.places[ranking.sure()]).mean() > 0.8


def test_the_surest_answer_has_the_benefit_of_the_doubt() -> None:
    p_NK = np.array([[0.999, 0.001], *[[0.97, 0.03], [0.03, 0.97]] * 9])
    ranking = rank_labels(p_NK, np.array([1, *[0, 1] * 9]))
    assert ranking.places[ranking.sure()].tolist() == [0]


def test_the_other_class_is_the_one_that_was_true() -> None:
    p_NK, y_N, is_wrong = classifier(2, wrong=0.1)
    ranking = rank_labels(p_NK, y_N)
    first = slice(0, int(is_wrong.sum()))
    true_N = p_NK.argmax(axis=1)
    assert (ranking.others[first] == true_N[ranking.places[first]]).mean() > 0.95
    assert (ranking.others != y_N[ranking.places]).all()


def test_the_order_of_images_does_not_matter() -> None:
    p_NK, y_N, _ = classifier(3, wrong=0.1)
    mixed = np.random.default_rng(0).permutation(IMAGES)
    one, other = rank_labels(p_NK, y_N), rank_labels(p_NK[mixed], y_N[mixed])
    found = {int(place) for place in one.places[one.suspected]}
    assert {int(mixed[place]) for place in other.places[other.suspected]} == found


def test_a_timid_class_has_a_low_threshold_and_an_absent_one_none() -> None:
    p_NK = np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    assert thresholds(p_NK, np.array([0, 0, 1])).tolist() == [0.55, 1.0, np.inf]


@pytest.mark.parametrize(
    ("shape", "labels"), [((3, 1), 3), ((3, 2), 4), ((3,), 3)], ids=["one class", "length", "flat"]
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], labels: int) -> None:
    with pytest.raises(ValueError, match="two classes or more"):
        rank_labels(np.ones(shape), np.zeros(labels, np.int64))


def test_no_images_no_suspects() -> None:
    assert len(rank_labels(np.zeros((0, 3)), np.zeros(0, np.int64)).places) == 0


def test_two_judges_raise_fewer_false_alarms_than_one() -> None:
    """They err on different images: of what one falsely doubts, the other doubts little."""
    p_NK, y_N, is_wrong_N = classifier(5, wrong=0.02, sure=2.5)
    true_N = np.where(is_wrong_N, p_NK.argmax(axis=1), y_N)
    chance = np.random.default_rng(6)
    strays_NK = chance.random((IMAGES, 10)) < 0.1
    around_NK = np.where(strays_NK, chance.integers(0, CLASSES, (IMAGES, 10)), true_N[:, None])
    ranking = rank_labels(p_NK, y_N)
    doubted = np.flatnonzero(ranking.suspected)
    places = ranking.places[doubted]
    agreed = seconded(ranking.others[doubted], around_NK[places])
    wrong, right = is_wrong_N[places], ~is_wrong_N[places]
    assert agreed[wrong].mean() > 0.9
    assert right.sum() > 0
    assert not agreed[right].any()


def test_a_doubt_counts_if_the_most_similar_images_second_it() -> None:
    y_N = np.arange(120) % 2
    f_ND = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    f_ND[:, :2] += 40 * np.eye(2, dtype=np.float32)[y_N]
    f_ND[7], y_N[7] = [0, 44, 0, 0], 0  # of class 1
    d_NA: NDArray[np.float32] = f_ND / np.linalg.norm(f_ND, axis=1, keepdims=True)
    found = find_doubted(f_ND, d_NA, y_N, 2)
    assert (found.places.tolist(), found.others.tolist()) == ([7], [1])
    assert found.right == pytest.approx(119 / 120)
    d_NA[7] = d_NA[0]  # most like those of class 0
    assert len(find_doubted(f_ND, d_NA, y_N, 2).places) == 0
