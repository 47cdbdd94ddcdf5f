"""Tests of `tunesmith.screening.overlays`."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.overlays import find_overlay

Pictures = NDArray[np.uint8]
COUNT, SIDE = 2000, 20


def textures() -> Pictures:
    rough = np.random.default_rng(0).normal(size=(COUNT, SIDE, SIDE)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in rough])
    return np.asarray((128 + 250 * smooth).clip(0, 255), np.uint8)


def blended(x_NHW: Pictures) -> Pictures:
    picture_HW = np.random.default_rng(1).integers(0, 256, x_NHW.shape[1:])
    return np.rint(0.85 * x_NHW + 0.15 * picture_HW).astype(np.uint8)


def waved(x_NHW: Pictures) -> Pictures:
    waves_W = 20 * np.sin(2 * np.pi * 4 * np.arange(SIDE) / SIDE)
    return np.asarray((x_NHW + waves_W).clip(0, 255), np.uint8)


def test_nothing_is_found_in_what_bears_no_pattern() -> None:
    assert find_overlay(textures()) is None


@pytest.mark.parametrize("change", [blended, waved])
@pytest.mark.parametrize("count", [20, 100])
def test_a_pattern_is_found_with_all_that_bear_it(
    change: Callable[[Pictures], Pictures], count: int
) -> None:
    x_NHW = textures()
    bearing = np.arange(7, COUNT, COUNT // count)
    x_NHW[bearing] = change(x_NHW[bearing])
    found = find_overlay(x_NHW)
    assert found
    assert sorted(found.places) == bearing.tolist()


def test_a_pattern_that_most_images_bear_is_how_they_are() -> None:
    x_NHW = textures()
    x_NHW[: COUNT * 3 // 4] = blended(x_NHW[: COUNT * 3 // 4])
    found = find_overlay(x_NHW)
    assert found is None or len(found.places) <= COUNT // 2


@pytest.mark.parametrize("count", [0, 1, 5, 30])
def test_too_few_images_tell_nothing(count: int) -> None:
    assert find_overlay(textures()[:count]) is None


def test_images_with_nothing_on_them() -> None:
    assert find_overlay(np.full((100, 8, 8), 50, np.uint8)) is None
