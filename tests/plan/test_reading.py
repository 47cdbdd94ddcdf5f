"""Tests of `tunesmith.plan.reading`."""

import dataclasses

import pytest

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.reading import (
    SAMPLED_SHARE,
    decode_seconds,
    readable_images,
    reading_budget,
    reading_per_s,
    reread_seconds,
    unread_seconds,
    unshared_seconds,
)


def test_test_images_of_another_size_are_read_again(mnist: Fingerprint) -> None:
    assert decode_seconds(mnist) == 3.5
    assert reread_seconds(mnist, (28, 28)) == 0.0
    assert reread_seconds(mnist, (32, 32)) == 1.5
    mixed = dataclasses.replace(mnist, heights=(28, 28, 29))
    assert reread_seconds(mixed, (28, 28)) == 1.5


def test_reading_whole_photographs_again_takes_as_long_as_measured(mnist: Fingerprint) -> None:
    photographs = dataclasses.replace(mnist, decode_per_s=100.0, again_per_s=20.0)
    assert reread_seconds(photographs, (64, 64)) == 500.0
    assert unread_seconds(photographs, (64, 64), left_s=1500.0) == 300.0


@pytest.mark.parametrize(
    ("tested", "per_s"), [(0, 50.0), (7000, 200 / 3), (14_000, 50.0), (35_000, 50.0)]
)
def test_large_images_are_so_many_that_there_is_time_to_read_the_test_s_again(
    mnist: Fingerprint, tested: int, per_s: float
) -> None:
    """A fifth of them is held out, if none are given, and no more of those that are given."""
    assert reading_per_s(mnist) == mnist.decode_per_s
    data = dataclasses.replace(mnist, decode_per_s=100.0, again_per_s=20.0, test_images=tested)
    assert reading_per_s(data) == pytest.approx(per_s)


@pytest.mark.parametrize(("images", "per_s"), [(5000, 50.0), (60_000, 300.0), (3000, 5000.0)])
def test_a_budget_that_is_said_to_read_all_images_does(images: int, per_s: float) -> None:
    spent, given = 12.0, 10.0  # starting up took longer than that budget
    enough = reading_budget(images, per_s, spent=spent)
    more_looked_s = 2 * SAMPLED_SHARE * enough
    assert readable_images(per_s, given - spent) < images
    left_s = enough - spent - more_looked_s - unshared_seconds(enough)
    assert readable_images(per_s, left_s) >= images


def test_where_reading_takes_next_to_nothing_all_is_read_however_late_it_is() -> None:
    assert readable_images(60_000.0, -5.0) >= 1797  # digits
    assert readable_images(100.0, -5.0) == 200
