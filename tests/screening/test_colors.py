"""Tests of `tunesmith.screening.colors`."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.screening.colors import same_colors


def shirts(*colors: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The same shape in other colors, on white."""
    x_NHWC = np.full((len(colors), 32, 32, 3), 255, np.uint8)
    for x_HWC, color in zip(x_NHWC, colors, strict=True):
        cv2.rectangle(x_HWC, (9, 6), (22, 26), color, -1)
    return x_NHWC


def test_a_red_shirt_is_no_copy_of_a_blue_one() -> None:
    x_NHWC = shirts((200, 30, 30), (30, 30, 200), (200, 30, 30))
    pairs_P2 = np.array([(0, 1), (0, 2), (1, 2)])
    assert same_colors(x_NHWC, pairs_P2).tolist() == [False, True, False]


def test_what_makes_a_near_copy_leaves_its_colors() -> None:
    x_NHWC = shirts((200, 30, 30))
    encoded = cv2.imencode(".jpg", x_NHWC[0], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    changed = [
        np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)),
        (0.7 * x_NHWC[0].astype(np.float32) + 25).clip(0, 255),
        np.roll(x_NHWC[0], 3, axis=1),
        cv2.resize(cv2.resize(x_NHWC[0], (20, 20), interpolation=cv2.INTER_AREA), (32, 32)),
    ]
    both_NHWC = np.concatenate([x_NHWC, np.stack(changed).astype(np.uint8)])
    pairs_P2 = np.array([(0, 1 + place) for place in range(len(changed))])
    assert same_colors(both_NHWC, pairs_P2).all()
    assert same_colors(both_NHWC, pairs_P2[:, ::-1]).all()


def test_gray_pictures_agree_and_no_pairs_are_none() -> None:
    assert same_colors(np.zeros((2, 8, 8, 1), np.uint8), np.array([(0, 1)])).tolist() == [True]
    assert len(same_colors(shirts((0, 0, 0)), np.zeros((0, 2), np.int64))) == 0
