"""Tests of `tunesmith.plan.speeds`."""

import dataclasses
from functools import partial

import pytest

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.augmentation import brief_seconds
from tunesmith.plan.speeds import (
    at_most,
    choose_size,
    enough_seconds,
    interpolate,
    leaves_time,
    passes_in,
    resolutions_of,
    sees_enough,
    size_for,
    sizes_of,
)

from .conftest import SPEEDS, speed


@pytest.mark.parametrize(
    ("height", "width", "sizes"),
    [
        (28, 28, [(28, 28)]),
        (5, 64, [(8, 64)]),
        (100, 100, [(32, 32), (48, 48), (64, 64), (96, 96), (100, 100)]),
        (300, 600, [(16, 32), (24, 48), (32, 64), (48, 96), (64, 128), (96, 192), (128, 256)]),
    ],
)
def test_sizes(mnist: Fingerprint, height: int, width: int, sizes: list[tuple[int, int]]) -> None:
    data = dataclasses.replace(mnist, heights=(1, height, 900), widths=(1, width, 900))
    assert list(sizes_of(data)) == sizes


def test_the_largest_affordable_size_is_chosen() -> None:
    speeds = [
        speed(32, rate).model_copy(update={"size": (side, side)})
        for side, rate in ((32, 1000), (64, 250), (128, 60))
    ]
    few, many = (partial(sees_enough, images=n, seconds=12) for n in (1000, 10**6))
    assert choose_size(speeds, few) == (64, 64)
    assert choose_size(speeds, many) == (32, 32)


def test_interpolated_speeds_lie_between() -> None:
    widths = {s.width: s.images_per_s for s in interpolate(SPEEDS)}
    assert list(widths) == [8, 12, 16, 24, 32, 48, 64]
    assert list(widths.values()) == sorted(widths.values(), reverse=True)


def test_a_width_between_has_room_for_no_larger_batch_than_the_wider_one() -> None:
    full = speed(32, 20).model_copy(update={"largest_batch": 16})
    found = {s.width: s.largest_batch for s in interpolate([speed(8, 100), speed(16, 50), full])}
    assert found == {8: None, 12: None, 16: None, 24: 16, 32: 16}


@pytest.mark.parametrize("budget", [1.0, 5.0, 30.0, 200.0])
@pytest.mark.parametrize("once_s", [0.0, 0.5, 7.0, 60.0])
def test_what_is_called_enough_is_enough(budget: float, once_s: float) -> None:
    parts = 40.0 + brief_seconds(budget)
    enough = enough_seconds(budget, parts, once_s)
    if enough is None:
        assert 40.0 + brief_seconds(budget) + once_s <= budget
    else:
        assert enough > budget
        assert 40.0 + brief_seconds(enough) + passes_in(enough, once_s) * once_s <= enough
        assert enough_seconds(enough, 40.0 + brief_seconds(enough), once_s) is None


@pytest.fixture
def photos(mnist: Fingerprint) -> Fingerprint:
    return dataclasses.replace(
        mnist, images=11_000, test_images=10_000, heights=(32, 32, 32), widths=(32, 32, 32)
    )


LOWEST = speed(0, 400).model_copy(update={"resolution": 64, "size": (32, 32)})


@pytest.mark.parametrize(
    ("seconds", "examples", "asked", "time"),
    [
        (100, 30_000, 10_000, True),
        (100, 40_000, 10_000, False),  # 8 s are needed to answer
        (10, 400, 10_000, False),  # most of the time would go into answers
        (10, 0, 1000, True),
    ],
)
def test_fine_tuning_and_answers_both_need_time(
    seconds: float, examples: int, asked: int, *, time: bool
) -> None:
    assert leaves_time(LOWEST, examples=examples, asked=asked, seconds=seconds) is time


def test_a_higher_resolution_is_hoped_to_cost_little_more() -> None:
    higher = at_most(LOWEST, 128)
    assert (higher.resolution, higher.images_per_s) == (128, 200)
    assert higher.answers_per_s == LOWEST.answers_per_s / 2


def test_large_photographs_are_decoded_no_larger_than_they_are_looked_at(
    photos: Fingerprint,
) -> None:
    large = dataclasses.replace(photos, heights=(300, 400, 500), widths=(600, 800, 900))
    assert size_for(large, 224) == (112, 224)
    assert resolutions_of(large) == (64, 96, 128, 160, 224)
    tiny = dataclasses.replace(photos, heights=(8, 8, 8), widths=(8, 8, 8))
    assert resolutions_of(tiny) == (64,)
