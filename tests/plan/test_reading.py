"""Tests of `tunesmith.plan.reading`."""

import dataclasses

import pytest

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.reading import decode_seconds, reading_per_s, reread_seconds, unread_seconds


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
