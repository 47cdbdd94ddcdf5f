"""Tests of `tunesmith.screening.patches`."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.data.sources import open_source
from tunesmith.screening.patches import find_repeated

STAMP = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)
Pictures = NDArray[np.uint8]


def strokes(count: int) -> Pictures:
    """White lines on black, as handwriting is: edges abound, and are often alike."""
    chance = np.random.default_rng(0)
    found = np.zeros((count, 24, 24), np.uint8)
    for x_HW in found:
        ends = chance.integers(4, 20, (3, 2)).tolist()
        for begin, end in itertools.pairwise(ends):
            cv2.line(x_HW, begin, end, 255, 2, cv2.LINE_AA)
    return found


def textures(count: int) -> Pictures:
    rough = np.random.default_rng(0).normal(size=(count, 24, 24)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.2) for x in rough])
    return np.asarray((128 + 150 * smooth).clip(0, 255), np.uint8)


@pytest.mark.parametrize("pictures", [strokes, textures])
def test_what_is_alike_by_nature_is_no_stamp(pictures: object) -> None:
    assert callable(pictures)
    assert find_repeated(pictures(4000)) == ()


@pytest.mark.parametrize("pictures", [strokes, textures])
@pytest.mark.parametrize("share", [0.005, 0.05])
def test_a_stamp_is_found_with_all_that_bear_it(pictures: object, share: float) -> None:
    assert callable(pictures)
    x_NHW = pictures(4000)
    stamped = np.arange(0, 4000, round(1 / share))
    x_NHW[stamped, 20:23, 20:23] = STAMP
    (found,) = find_repeated(x_NHW)
    assert abs(found.top - 20) <= 2
    assert abs(found.left - 20) <= 2
    np.testing.assert_array_equal(found.places, stamped)


def test_a_stamp_behind_compression() -> None:
    x_NHW = textures(3000)
    stamped = np.arange(0, 3000, 50)
    x_NHW[stamped, 20:23, 20:23] = STAMP
    for place in stamped:
        encoded = cv2.imencode(".jpg", x_NHW[place], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        x_NHW[place] = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    found = find_repeated(x_NHW)
    assert found
    assert np.isin(np.concatenate([each.places for each in found]), stamped).all()


def test_two_stamps_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.screening.repeated.LEAST_COUNT", 20)
    x_NHW = textures(2000)
    x_NHW[:60, 1:4, 1:4] = STAMP
    x_NHW[100:140, 20:23, 2:5] = 255 - STAMP
    first, second = find_repeated(x_NHW)
    assert (len(first.places), len(second.places)) == (60, 40)


def test_what_most_images_bear_is_the_background() -> None:
    x_NHW = textures(500)
    x_NHW[:400, 20:23, 20:23] = STAMP
    assert find_repeated(x_NHW) == ()


@pytest.mark.parametrize("side", [8, 14, 20])
def test_ends_of_strokes_in_tiny_images_are_no_stamps(side: int) -> None:
    """Scikit-learn's digits, 8 x 8 pixels, as they are and enlarged: each place is of its kind."""
    digits = open_source("digits")
    found = [digits.read(index) for index in range(len(digits.names))]
    resized = [cv2.resize(np.asarray(each), (side, side)) for each in found]
    x_NHW: Pictures = np.asarray(resized, np.uint8)
    assert find_repeated(x_NHW) == ()
    x_NHW[::60, -3:, -3:] = STAMP
    (stamp,) = find_repeated(x_NHW)
    assert np.isin(np.arange(0, len(x_NHW), 60), stamp.places).all()


def test_few_images_and_small_ones() -> None:
    assert find_repeated(np.zeros((3, 8, 8), np.uint8)) == ()
    assert find_repeated(np.zeros((0, 8, 8), np.uint8)) == ()


@pytest.mark.parametrize("side", [3, 5, 8])
def test_a_plain_square_is_a_stamp_too(side: int) -> None:
    x_NHW = textures(2000)
    x_NHW[::50, 21 - side : 21, 21 - side : 21] = 255
    (found,) = find_repeated(x_NHW)
    assert (found.top, found.left) == (21 - side, 21 - side)
    assert np.isin(found.places, np.arange(0, 2000, 50)).all()


def test_scenes_take_no_more_memory_the_more_there_are_of_them() -> None:
    """A few images each of many scenes: every position has patterns that are nowhere else."""
    scenes = np.random.default_rng(0).integers(0, 256, (40, 12, 12)).astype(np.uint8)
    x_NHW = np.repeat(scenes, 10, axis=0)
    tracemalloc.start()
    found = find_repeated(x_NHW)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) >= 40
    assert most < 4_000_000
