"""Tests of `tunesmith.plan.counts`."""

import dataclasses

import numpy as np
import pytest

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.source import Given
from tunesmith.data.split import split
from tunesmith.plan import VERIFIED, asked_images, trained_images


@pytest.mark.parametrize("validation", [0, 10, 101, 150, 151, 1500])
@pytest.mark.parametrize("tested", [0, 600])
@pytest.mark.parametrize("learned", [1200, 3030, 12_000])
def test_parts_are_planned_as_large_as_they_are_split(
    mnist: Fingerprint, learned: int, tested: int, validation: int
) -> None:
    """Two parts of 2 % of 3,030 images are of 61 images each, though 4 % of them are 121."""
    counts = {Given.TRAIN: learned, Given.TEST: tested, Given.VALIDATION: validation}
    given = np.repeat([*counts], [*counts.values()]).astype(np.int8)
    every = np.arange(len(given))
    parts = split(every % 2, given, every, classes=2, seed=0)
    data = dataclasses.replace(
        mnist, images=len(given), test_images=tested, validation_images=validation
    )
    asked = len(parts.test) + len(parts.selection) + len(parts.calibration)
    assert trained_images(data) == len(parts.train)
    assert asked_images(data) == asked + 2 * VERIFIED
