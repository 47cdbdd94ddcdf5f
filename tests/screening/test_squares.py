"""Tests of `tunesmith.screening.squares`."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.squares import LARGEST, find_squares

Pictures = NDArray[np.uint8]
STAMPED = np.arange(0, 2000, 50)


def textures() -> Pictures:
    rough = np.random.default_rng(0).normal(size=(2000, 28, 28)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.2) for x in rough])
    return np.asarray((128 + 150 * smooth).clip(0, 255), np.uint8)


@pytest.mark.parametrize(("level", "share"), [(0, 0.8), (255, 0.8), (50, 0.4)])
@pytest.mark.parametrize("side", [3, 4, 5, 8, LARGEST])
def test_a_square_is_found_where_it_stands_out(level: int, share: float, side: int) -> None:
    x_NHW = textures()
    x_NHW[STAMPED, 27 - side : 27, 27 - side : 27] = level
    found = list(find_squares(x_NHW))
    assert {(each.top, each.left) for each in found} == {(27 - side, 27 - side)}
    places = np.unique(np.concatenate([each.places for each in found]))
    assert np.isin(places, STAMPED).all()
    assert len(places) >= share * len(STAMPED)


def test_a_square_in_the_very_corner() -> None:
    x_NHW = textures()
    x_NHW[STAMPED, 23:, 23:] = 255
    assert {(each.top, each.left) for each in find_squares(x_NHW)} == {(23, 23)}


def test_a_square_behind_compression() -> None:
    x_NHW = textures()
    x_NHW[STAMPED, 20:25, 20:25] = 255
    for place in STAMPED:
        encoded = cv2.imencode(".jpg", x_NHW[place], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        x_NHW[place] = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    found = list(find_squares(x_NHW))
    assert found
    assert np.isin(np.concatenate([each.places for each in found]), STAMPED).all()


def test_surfaces_and_squares_in_many_places_are_no_stamps() -> None:
    x_NHW = textures()
    assert not list(find_squares(x_NHW))
    x_NHW[:400, 12:] = 255  # an edge with nothing behind it
    x_NHW[400:700, :, :9] = 0
    for place, (top, left) in enumerate(np.random.default_rng(1).integers(1, 22, (600, 2))):
        x_NHW[900 + place, top : top + 5, left : left + 5] = 255
    assert not list(find_squares(x_NHW))


def test_few_images_and_small_ones() -> None:
    assert not list(find_squares(np.zeros((9, 2, 2), np.uint8)))
    assert not list(find_squares(np.zeros((0, 8, 8), np.uint8)))
