"""Tests of `tunesmith.plan.reading`."""

import dataclasses

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.reading import decode_seconds, reread_seconds


def test_test_images_of_another_size_are_read_again(mnist: Fingerprint) -> None:
    assert decode_seconds(mnist) == 3.5
    assert reread_seconds(mnist, (28, 28)) == 0.0
    assert reread_seconds(mnist, (32, 32)) == 1.5
    mixed = dataclasses.replace(mnist, heights=(28, 28, 29))
    assert reread_seconds(mixed, (28, 28)) == 1.5


def test_reading_whole_photographs_again_takes_as_long_as_measured(mnist: Fingerprint) -> None:
    photographs = dataclasses.replace(mnist, decode_per_s=100.0, again_per_s=20.0)
    assert reread_seconds(photographs, (64, 64)) == 500.0
