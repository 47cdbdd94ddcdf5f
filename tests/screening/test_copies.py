"""Tests of `tunesmith.screening.copies`."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening import neighbors
from tunesmith.screening.copies import comparable, find_copies, find_mirrored

Pictures = NDArray[np.uint8]
SIDE = 32


def scenes(count: int, *, seed: int = 0) -> Pictures:
    """Pictures of overlapping ellipses on a slope of gray: smooth, with edges, all different."""
    chance = np.random.default_rng(seed)
    found = np.empty((count, SIDE, SIDE), np.uint8)
    for place in range(count):
        slope = np.linspace(chance.uniform(40, 160), chance.uniform(40, 160), SIDE)
        x_HW = np.broadcast_to(slope, (SIDE, SIDE)).astype(np.uint8).copy()
        for _ in range(5):
            center = tuple(chance.integers(4, SIDE - 4, 2).tolist())
            axes = tuple(chance.integers(3, 11, 2).tolist())
            shade = int(chance.integers(20, 236))
            cv2.ellipse(x_HW, center, axes, float(chance.uniform(0, 180)), 0, 360, shade, -1)
        found[place] = cv2.GaussianBlur(x_HW, (3, 3), 0)
    return found


def jpeg(x_HW: Pictures) -> Pictures:
    encoded = cv2.imencode(".jpg", x_HW, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)


def shifted(x_HW: Pictures) -> Pictures:
    moved = np.array([[1, 0, 2], [0, 1, -1]], np.float32)
    return np.asarray(
        cv2.warpAffine(x_HW, moved, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def brightened(x_HW: Pictures) -> Pictures:
    return (x_HW.astype(np.float32) * 0.8 + 30).clip(0, 255).astype(np.uint8)


def resized(x_HW: Pictures) -> Pictures:
    small = cv2.resize(x_HW, (22, 22), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("change", [jpeg, shifted, brightened, resized])
def test_changed_copies_are_found_and_nothing_else(change: object) -> None:
    assert callable(change)
    x_NSS = scenes(400)
    again = np.stack([change(x_HW) for x_HW in x_NSS[:100]])
    found = find_copies(np.concatenate([x_NSS, again]))
    planted = {(place, 400 + place) for place in range(100)}
    pairs = {(int(one), int(other)) for one, other in found}
    assert len(pairs & planted) >= 95
    assert pairs <= planted


@pytest.mark.parametrize("few", [neighbors.FEW, 100])
def test_pictures_of_one_kind_are_no_copies(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(neighbors, "FEW", few)
    assert len(find_copies(scenes(1500, seed=1))) == 0


def test_many_copies_of_some_do_not_hide_single_ones_of_others() -> None:
    x_NSS = scenes(500)
    chance = np.random.default_rng(0)
    rolled = [
        np.roll(x_HW, chance.integers(-1, 2, 2), axis=(0, 1))
        for x_HW in x_NSS[:40]
        for _ in range(5)
    ]
    single = [shifted(x_HW) for x_HW in x_NSS[100:200]]
    both_NSS = np.concatenate([x_NSS, np.stack([jpeg(x_HW) for x_HW in rolled]), np.stack(single)])
    pairs = {tuple(pair) for pair in find_copies(both_NSS).tolist()}
    planted = {(100 + place, 700 + place) for place in range(100)}
    assert len(pairs & planted) >= 95


def test_many_copies_of_a_picture_do_not_hide_each_other() -> None:
    x_NSS = scenes(400)
    chance = np.random.default_rng(0)
    again = [
        brightened(jpeg(np.roll(x_HW, chance.integers(-1, 2, 2), axis=(0, 1))))
        for x_HW in x_NSS[:20]
        for _ in range(8)
    ]
    pairs = find_copies(np.concatenate([x_NSS, np.stack(again)]))
    owner_N = np.concatenate([np.arange(400), np.repeat(np.arange(20), 8)])
    assert (owner_N[pairs[:, 0]] == owner_N[pairs[:, 1]]).all()
    assert len(np.unique(pairs)) >= 0.95 * 20 * 9


def test_among_many_pictures_cells_find_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    x_NSS = scenes(1200)
    again = np.stack([shifted(x_HW) for x_HW in x_NSS[:300]])
    both_NSS = np.concatenate([x_NSS, again])
    of_all = {tuple(pair) for pair in find_copies(both_NSS).tolist()}
    monkeypatch.setattr(neighbors, "FEW", 100)
    by_cells = {tuple(pair) for pair in find_copies(both_NSS).tolist()}
    assert len(by_cells & of_all) >= 0.98 * len(of_all)
    assert by_cells <= {(place, 1200 + place) for place in range(300)}


def test_mirror_images_are_found_and_nothing_else() -> None:
    x_NSS = scenes(400)
    x_NSS[7] = (x_NSS[7].astype(np.int64) + x_NSS[7, :, ::-1]) // 2  # its own mirror image
    again = np.stack([jpeg(shifted(np.ascontiguousarray(x_HW[:, ::-1]))) for x_HW in x_NSS[:100]])
    both_NSS = np.concatenate([x_NSS, again])
    both_NSS[450] = jpeg(x_NSS[399])  # a copy, and no mirror image
    planted = {(place, 400 + place) for place in range(100)} - {(50, 450)}
    pairs = {(int(one), int(other)) for one, other in find_mirrored(both_NSS)}
    assert len(pairs & planted) >= 95
    assert pairs <= planted
    asked = find_mirrored(both_NSS, np.array([401, 2]))
    assert asked.tolist() == [[1, 401], [2, 402]]


def test_only_what_is_asked_about() -> None:
    x_NSS = scenes(200)
    x_NSS[100], x_NSS[150] = jpeg(x_NSS[0]), jpeg(x_NSS[1])
    asked = find_copies(x_NSS, np.array([100]))
    assert asked.tolist() == [[0, 100]]
    assert find_copies(x_NSS).tolist() == [[0, 100], [1, 150]]
    assert find_copies(x_NSS, np.zeros(0, np.int64)).shape == (0, 2)


def test_pictures_of_nothing_are_no_copies_of_each_other() -> None:
    blank_NSS = np.arange(40, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2)
    assert len(find_copies(blank_NSS)) == 0
    assert len(find_copies(blank_NSS[:2])) == 0


def test_anything_can_be_made_comparable() -> None:
    chance = np.random.default_rng(0)
    for shape in ((5, 64, 48, 3), (5, 8, 8, 1), (5, 40, 200, 4)):
        x_NHWC = chance.integers(0, 256, shape).astype(np.uint8)
        side = min(32, *shape[1:3])
        assert comparable(x_NHWC, np.array([0, 3])).shape == (2, side, side)
    gray = chance.integers(0, 256, (2, 32, 32, 1)).astype(np.uint8)
    np.testing.assert_array_equal(comparable(gray, np.array([1])), gray[1:, ..., 0])
