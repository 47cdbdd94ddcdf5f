"""Tests of `tunesmith.data.fingerprint`."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.decode import Sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.loaded import Rejected
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source


@pytest.fixture
def source() -> Source:
    return open_source((np.zeros((12, 9, 7, 3), np.uint8), np.arange(12) % 3))


def sample(*images: NDArray[np.uint8]) -> Sample:
    shapes = np.array([image.shape for image in images])
    return Sample(images=list(images), shapes=shapes, rejected=(), per_s=100.0)


def color(channels: int, value: int = 9) -> NDArray[np.uint8]:
    return np.full((9, 7, channels), value, np.uint8)


def test_numbers(source: Source) -> None:
    found = fingerprint(source, sample(color(3), np.zeros((5, 20, 1), np.uint8), color(3)))
    assert (found.images, found.classes, found.class_counts) == (12, 3, (4, 4, 4))
    assert found.heights == (5, 9, 9)
    assert found.widths == (7, 7, 20)
    assert found.test_images == 0
    assert (found.decode_per_s, found.again_per_s) == (100.0, None)
    large = dataclasses.replace(sample(color(3)), again_per_s=7.0)
    assert fingerprint(source, large).again_per_s == 7.0


def test_a_typical_image_has_the_mean_aspect_ratio(source: Source) -> None:
    lying, upright = np.zeros((30, 40, 1), np.uint8), np.zeros((40, 30, 1), np.uint8)
    assert fingerprint(source, sample(lying, lying)).typical == (30, 40)
    assert fingerprint(source, sample(upright)).typical == (40, 30)
    assert fingerprint(source, sample(lying, upright)).typical == (35, 35)
    assert fingerprint(source, sample(lying, lying, upright)).typical == (36, 40)
    without = dataclasses.replace(fingerprint(source, sample(lying, lying, upright)), aspect=None)
    assert without.typical == (30, 40)


def test_channels_are_those_that_tell_something(source: Source) -> None:
    red = color(3)
    red[0, 0, 0] = 200
    opaque, clear = color(4, 255), color(4, 255)
    clear[0, 0, 3] = 0
    assert fingerprint(source, sample(color(3), color(1))).channels == 1
    assert fingerprint(source, sample(opaque)).channels == 1
    assert fingerprint(source, sample(color(1), red)).channels == 3
    assert fingerprint(source, sample(red, clear)).channels == 4


def test_nothing_to_look_at(source: Source) -> None:
    shapes = np.zeros((0, 3), np.int64)
    bad = (Rejected(index=0, name="a.png", reason="it is cut off"),)
    empty = Sample(images=[], shapes=shapes, rejected=bad, per_s=1.0)
    with pytest.raises(SourceError, match=r"can be decoded\. First: a.png: it is cut off"):
        fingerprint(source, empty)
