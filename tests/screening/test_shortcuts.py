"""Tests of `tunesmith.screening.shortcuts`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.evaluation.areas import area_of_counts
from tunesmith.screening.shortcuts import BINS, can_ask, find_shortcuts

Y = np.arange(2000) % 10


def test_a_clue_without_a_link_is_none() -> None:
    chance = np.random.default_rng(0)
    clues = {"ending": chance.choice(["png", "jpg"], 2000), "size": chance.normal(size=2000)}
    assert not find_shortcuts(clues, Y, 10, allowed={"ending": 0.6, "size": 0.6})


def test_one_class_of_many_is_enough() -> None:
    is_given_away = (Y == 3) & (np.random.default_rng(0).random(2000) < 0.75)
    ending_N = np.where(is_given_away, "jpg", "png")
    (found,) = find_shortcuts({"ending": ending_N}, Y, 10, allowed={"ending": 0.6})
    assert found.label == 3
    assert 0.8 < found.auc < 0.95


def test_numbers_count_by_their_range_and_in_any_direction() -> None:
    chance = np.random.default_rng(0)
    size_N = chance.normal(size=2000) + np.where(Y == 7, 0, chance.choice([-9, 9], 2000))
    (found,) = find_shortcuts({"size": size_N}, Y, 10, allowed={"size": 0.9})
    assert found.label == 7  # in the middle, where no straight line finds it


def test_several_values_are_one_clue() -> None:
    chance = np.random.default_rng(0)
    border_N3 = chance.normal(size=(2000, 3))
    border_N3[Y == 5, 1] += 8
    (found,) = find_shortcuts({"border": border_N3}, Y, 10, allowed={"border": 0.95})
    assert (found.clue, found.label) == ("border", 5)


def test_rare_words_are_one_and_constants_are_nothing() -> None:
    words_N = np.array([f"w{i}" for i in range(2000)])
    clues = {"name": words_N, "same": np.zeros(2000)}
    assert not find_shortcuts(clues, Y, 10, allowed={"name": 0.6, "same": 0.6})
    assert len(np.unique(words_N)) > BINS


def test_numbers_and_words_can_be_one_clue() -> None:
    chance = np.random.default_rng(0)
    width_N = chance.integers(600, 1000, 2000).astype(np.float64)
    width_N[Y == 3] = 640  # among others that are nearly as wide
    words_N = np.array([f"{width} x 480" for width in width_N])
    (exact,) = find_shortcuts({"size": [words_N, width_N]}, Y, 10, allowed={"size": 0.99})
    assert exact.label == 3
    width_N = chance.normal(800, 50, 2000) - 400 * (Y == 7)
    words_N = np.array([f"{width} x 480" for width in width_N])  # no two are equal
    (ranged,) = find_shortcuts({"size": [words_N, width_N]}, Y, 10, allowed={"size": 0.9})
    assert ranged.label == 7
    assert not find_shortcuts({"size": words_N}, Y, 10, allowed={"size": 0.6})


def test_too_few_images_tell_nothing() -> None:
    clues = {"ending": np.array(["a", "b", "a", "b"])}
    assert not find_shortcuts(clues, np.array([0, 1, 0, 1]), 2, allowed={"ending": 0.6})


def test_the_plainest_clue_is_told_of_few_images_too() -> None:
    y_N = np.arange(200) % 2
    (found,) = find_shortcuts({"border": y_N}, y_N, 2, allowed={"border": 0.98})
    assert found.auc == 1


def test_many_classes_are_looked_at() -> None:
    assert can_ask(np.arange(70_000) % 1000, 1000)
    assert not can_ask(np.arange(20_000) % 1000, 1000)


def test_a_clue_of_many_classes_is_one_pass_over_its_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not one over all images for each class: there are as many scores as sets of values."""
    asked = []

    def area(
        score_U: NDArray[np.float64],
        ones_U: NDArray[np.int64],
        others_U: NDArray[np.int64],
        z: float,
    ) -> tuple[float, float, float]:
        asked.append(len(score_U))
        return area_of_counts(score_U, ones_U, others_U, z=z)

    monkeypatch.setattr("tunesmith.screening.shortcuts.area_of_counts", area)
    y_N = np.arange(30_000) % 500
    color_N2 = np.random.default_rng(0).normal(size=(30_000, 2))
    color_N2[y_N == 7, 1] += 8
    (found,) = find_shortcuts({"color": color_N2}, y_N, 500, allowed={"color": 0.9})
    assert found.label == 7
    assert len(asked) > 450
    assert max(asked) <= BINS**2


def test_a_clue_without_any_value_gives_nothing_away() -> None:
    empty_NV = np.zeros((200, 0), np.int64)
    assert find_shortcuts({"none": empty_NV}, np.arange(200) % 2, 2, allowed={"none": 0.6}) == ()
