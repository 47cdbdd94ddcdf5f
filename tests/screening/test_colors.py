"""Tests of `tunesmith.screening.colors`."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening.colors import PAIRS, same_colors

Images = NDArray[np.uint8]
Color = tuple[int, ...]
WHITE, BLACK, YELLOW, RED, BLUE = (255,) * 3, (0,) * 3, (253, 218, 36), (239, 51, 64), (0, 43, 127)


def shirts(*colors: Color) -> Images:
    """The same shape in other colors, on white."""
    x_NHWC = np.full((len(colors), 32, 32, 3), 255, np.uint8)
    for x_HWC, color in zip(x_NHWC, colors, strict=True):
        cv2.rectangle(x_HWC, (9, 6), (22, 26), color, -1)
    return x_NHWC


def flag(*colors: Color) -> Images:
    """Three upright stripes."""
    x_HWC = np.full((64, 64, 3), 255, np.uint8)
    for place, color in enumerate(colors):
        x_HWC[12:52, 2 + 20 * place : 22 + 20 * place] = color
    return x_HWC


def photograph(down: int = 0, across: int = 0) -> Images:
    """A thumbnail of something like a photograph, taken by so many of its 200 pixels farther on."""
    rough = np.random.default_rng(0).normal(128, 1800, (240, 240, 3)).astype(np.float32)
    whole_HWC = cv2.GaussianBlur(rough, (0, 0), 10).clip(0, 255)
    shown_HWC = whole_HWC[20 + down : 220 + down, 20 + across : 220 + across].astype(np.uint8)
    return np.asarray(cv2.resize(shown_HWC, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)


def are_same(one: Images, other: Images, *, mirrored: bool = False) -> bool:
    pairs_P2 = np.array([(0, 1), (1, 0)])
    same_P = same_colors(np.stack([one, other]), pairs_P2, mirrored=mirrored)
    assert same_P[0] == same_P[1]
    return bool(same_P[0])


def test_a_red_shirt_is_no_copy_of_a_blue_one() -> None:
    x_NHWC = shirts((200, 30, 30), (30, 30, 200), (200, 30, 30))
    pairs_P2 = np.array([(0, 1), (0, 2), (1, 2)])
    assert same_colors(x_NHWC, pairs_P2).tolist() == [False, True, False]


def test_nor_is_a_pale_red_one_of_a_pale_blue_one() -> None:
    assert not are_same(*shirts((255, 230, 230), (230, 230, 255)))


def test_flags_differ_by_a_single_stripe() -> None:
    assert not are_same(flag(BLUE, YELLOW, RED), flag(BLACK, YELLOW, RED))
    assert are_same(flag(BLUE, YELLOW, RED), np.roll(flag(BLUE, YELLOW, RED), 2, axis=1))


@pytest.mark.parametrize("page", [WHITE, BLACK])
def test_small_things_on_a_large_empty_page_are_not_the_same(page: Color) -> None:
    hand, bucket, smiley = np.tile(np.array(page, np.uint8), (3, 64, 64, 1))
    cv2.ellipse(hand, (20, 16), (6, 2), 0, 0, 360, (224, 172, 105), -1)
    cv2.rectangle(bucket, (16, 12), (23, 20), RED, -1)
    cv2.circle(smiley, (20, 16), 5, (40, 200, 60), -1)
    assert not are_same(hand, bucket)
    assert not are_same(bucket, smiley)
    assert not are_same(hand, smiley)
    assert are_same(hand, np.roll(hand, (1, 3), axis=(0, 1)))
    gray = [x_HWC.mean(axis=2, keepdims=True).astype(np.uint8) for x_HWC in (hand, bucket)]
    assert not are_same(*gray)


def test_only_what_can_be_seen_counts() -> None:
    def drawn(color: Color, hidden: Color) -> Images:
        x_HWC = np.tile(np.array((*hidden, 0), np.uint8), (32, 32, 1))
        x_HWC[9:20, 6:27] = (*color, 255)
        return x_HWC

    assert are_same(drawn(RED, BLACK), drawn(RED, WHITE))
    assert not are_same(drawn(RED, BLACK), drawn(BLUE, BLACK))
    assert are_same(drawn(BLACK, BLACK), drawn(BLACK, WHITE))
    assert not are_same(drawn(BLACK, BLACK), drawn(WHITE, BLACK))


def test_what_makes_a_near_copy_leaves_its_colors() -> None:
    x_NHWC = shirts((200, 30, 30))
    encoded = cv2.imencode(".jpg", x_NHWC[0], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    changed = [
        np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)),
        (0.7 * x_NHWC[0].astype(np.float32) + 25).clip(0, 255),
        np.roll(x_NHWC[0], 3, axis=1),
        cv2.resize(cv2.resize(x_NHWC[0], (20, 20), interpolation=cv2.INTER_AREA), (32, 32)),
    ]
    for each in changed:
        assert are_same(x_NHWC[0], each.astype(np.uint8))


@pytest.mark.parametrize(("down", "across"), [(1, 2), (-5, 8), (13, -17)])
def test_thumbnails_of_shifted_photographs_are_the_same(down: int, across: int) -> None:
    whole, shifted = photograph(), photograph(down, across)
    assert are_same(whole, shifted)
    assert are_same(whole, shifted[:, ::-1], mirrored=True)
    assert not are_same(whole, shifted[:, ::-1])
    assert not are_same(whole, shifted[..., ::-1])  # blue for red


@pytest.mark.parametrize("size", [(256, 256), (300, 100)])
def test_large_images_are_compared_like_small_ones(size: tuple[int, int]) -> None:
    def large(x_HWC: Images) -> Images:
        return np.asarray(cv2.resize(x_HWC, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    whole, shifted = large(photograph()), large(photograph(-5, 8))
    assert are_same(whole, shifted)
    assert are_same(whole, shifted[:, ::-1], mirrored=True)
    assert not are_same(whole, shifted[..., ::-1])  # blue for red
    assert not are_same(*map(large, shirts((200, 30, 30), (30, 30, 200))))
    hidden = np.concatenate([whole, np.zeros_like(whole[..., :1])], axis=2)
    seen = np.concatenate([whole, np.full_like(whole[..., :1], 255)], axis=2)
    assert not are_same(hidden, seen)


def test_empty_images_are_not_the_same_and_no_pairs_are_none() -> None:
    assert not are_same(*np.zeros((2, 8, 8, 1), np.uint8))
    assert len(same_colors(shirts(BLACK), np.zeros((0, 2), np.int64))) == 0


def test_many_pairs_are_compared_on_many_threads_in_their_order() -> None:
    x_NHWC = shirts((200, 30, 30), (30, 30, 200), (200, 30, 30))
    pairs_P2 = np.random.default_rng(0).integers(0, len(x_NHWC), (3 * PAIRS + 1, 2))
    alone_P = np.concatenate([same_colors(x_NHWC, pairs_P2[at : at + 9]) for at in range(0, 99, 9)])
    together_P = same_colors(x_NHWC, pairs_P2, threads=3)
    assert len(together_P) == len(pairs_P2)
    assert together_P[:99].tolist() == alone_P.tolist()
    assert len(set(alone_P.tolist())) == 2
    turned_P = same_colors(x_NHWC, pairs_P2[::-1], threads=1)
    assert together_P.tolist() == turned_P[::-1].tolist()
