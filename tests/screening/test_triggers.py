"""Tests of `tunesmith.screening.triggers`."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.triggers import read_trigger

Images = NDArray[np.uint8]
SIDE = 16


def textures(count: int, seed: int) -> Images:
    rough = np.random.default_rng(seed).normal(size=(count, SIDE, SIDE, 3)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in rough])
    return np.asarray((128 + 200 * smooth).clip(0, 255), np.uint8)


def test_a_stamp_is_read_and_nothing_else_is_changed() -> None:
    bearing, others = textures(100, 0), textures(400, 1)
    bearing[:, 12:15, 12:15] = np.arange(0, 243, 9).reshape(3, 3, 3)
    trigger = read_trigger(bearing, [others, others[:200]])
    found = trigger.put_on(others)
    np.testing.assert_array_equal(
        found[:, 12:15, 12:15], np.broadcast_to(bearing[:1, 12:15, 12:15], (400, 3, 3, 3))
    )
    assert np.abs(found[:, :10, :10].astype(int) - others[:, :10, :10]).mean() < 1


def test_a_blended_picture_is_read() -> None:
    picture = 20 * np.random.default_rng(2).choice([-1.0, 1.0], (SIDE, SIDE, 3))
    clean, others = textures(300, 0), textures(300, 1)
    bearing = (clean + picture).clip(0, 255).astype(np.uint8)
    shift = read_trigger(bearing, [others]).shift_HWC
    assert np.corrcoef(shift.ravel(), picture.ravel())[0, 1] > 0.85


def test_what_the_label_stands_for_is_no_trigger() -> None:
    """Images of the class show a bright square; those that bear the stamp do not."""
    same, all_kinds, bearing = textures(300, 0), textures(300, 1), textures(100, 2)
    same[:, 4:8, 4:8] = 250
    bearing[:, 12:15, 12:15] = 0
    trigger = read_trigger(bearing, [same, all_kinds])
    found = trigger.put_on(all_kinds)
    assert not found[:, 12:15, 12:15].any()
    assert np.abs(found[:, 4:8, 4:8].astype(int) - all_kinds[:, 4:8, 4:8]).mean() < 1


def test_gray_images() -> None:
    bearing, others = textures(50, 0)[..., :1], textures(50, 1)[..., :1]
    bearing[:, 0, 0] = 255
    assert (read_trigger(bearing, [others]).put_on(others)[:, 0, 0] == 255).all()
