"""Tests of `tunesmith.screening.crops`."""

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.crops import find_crops

SIDE = 32
Pictures = NDArray[np.uint8]
Places = NDArray[np.int64]


def textures(count: int, *, side: int = SIDE, coarseness: float = 2.0) -> Pictures:
    rough = np.random.default_rng(0).normal(size=(count, side, side)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), coarseness) for x in rough])
    return np.asarray((128 + 200 * smooth).clip(0, 255), np.uint8)


def digits(count: int) -> Pictures:
    """White lines on black in ten shapes, a little moved: as alike as handwriting is."""
    chance = np.random.default_rng(0)
    shapes = np.random.default_rng(1).integers(7, 25, (10, 4, 2))
    found = np.zeros((count, SIDE, SIDE), np.uint8)
    for place, x_HW in enumerate(found):
        ends = (shapes[place % 10] + chance.normal(0, 1.2, (4, 2))).round().astype(int).tolist()
        for begin, end in itertools.pairwise(ends):
            cv2.line(x_HW, begin, end, 255, 3, cv2.LINE_AA)
    return found


def cut(x_HW: Pictures, chance: np.random.Generator) -> Pictures:
    """Some of each side less, which stretches what is left; darker, and as a JPEG."""
    side = len(x_HW)
    top, bottom, left, right = np.rint(side * chance.uniform(0.03, 0.15, 4)).astype(int)
    kept = x_HW[top : side - bottom, left : side - right]
    large = cv2.resize(kept, (side, side), interpolation=cv2.INTER_CUBIC)
    encoded = cv2.imencode(".jpg", large // 5 * 4, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)


def with_crops(x_NSS: Pictures, count: int) -> tuple[Pictures, Places]:
    """Pictures with crops of the first ones behind them, and what each is to be compared with."""
    chance, n = np.random.default_rng(2), len(x_NSS)
    both_NSS = np.concatenate([x_NSS, np.stack([cut(x_HW, chance) for x_HW in x_NSS[:count]])])
    candidates_N3 = (np.arange(n + count)[:, None] + np.array([1, 10, n])) % (n + count)
    return both_NSS, candidates_N3


@pytest.mark.parametrize("coarseness", [1.5, 2.5, 4.0])
def test_cropped_copies_are_found_and_nothing_else(coarseness: float) -> None:
    found = find_crops(*with_crops(textures(150, coarseness=coarseness), 100))
    planted = {(place, 150 + place) for place in range(100)}
    pairs = set(map(tuple, found.pairs_P2.tolist()))
    assert len(pairs & planted) >= 95
    assert pairs <= planted


def test_shapes_that_are_alike_are_no_crops() -> None:
    x_NSS = digits(300)
    candidates_N3 = (np.arange(300)[:, None] + np.array([10, 20, 30])) % 300
    assert len(find_crops(x_NSS, candidates_N3).pairs_P2) <= 3  # of 900 comparisons


def test_copies_of_another_kind_are_none() -> None:
    x_NSS = textures(40)
    again = [np.roll(x_NSS[:10], 2, axis=2), x_NSS[10:20] // 2 + 30, x_NSS[20:30, :, ::-1]]
    both_NSS = np.concatenate([x_NSS, *again])
    candidates_N1 = (np.arange(70)[:, None] + 40) % 70
    assert len(find_crops(both_NSS, candidates_N1).pairs_P2) == 0


def test_few_small_and_blank_pictures() -> None:
    for x_NSS in (np.zeros((5, 32, 32), np.uint8), textures(5, side=8), textures(1)):
        candidates_N1 = (np.arange(len(x_NSS))[:, None] + 1) % len(x_NSS)
        found = find_crops(x_NSS, candidates_N1[: len(x_NSS) - 1])
        assert (found.pairs_P2.shape, found.windows_P23.shape) == ((0, 2), (0, 2, 3))


def test_a_window_is_where_the_crop_was_cut() -> None:
    x_NSS = textures(12, side=64, coarseness=4.0)
    x_NSS[2] = cv2.resize(x_NSS[9, 8:56, 4:60], (64, 64), interpolation=cv2.INTER_CUBIC)
    found = find_crops(x_NSS, (np.arange(12)[:, None] + np.arange(1, 12)) % 12)
    assert found.pairs_P2.tolist() == [[9, 2]]
    cut = np.array([[56, 0, 4], [0, 48, 8]]) / 64
    np.testing.assert_allclose(found.windows_P23[0], cut, atol=0.005)
