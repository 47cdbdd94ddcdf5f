"""Tests of `tunesmith.jobs.gate`."""

import pytest

from tunesmith.jobs.alike import Depth
from tunesmith.jobs.gate import depth_for


@pytest.mark.parametrize(
    ("images", "tested", "budget", "expected"),
    [
        (1797, 0, 60, Depth.WHOLE),
        (70_000, 10_000, 60, Depth.EXACT),
        (70_000, 10_000, 250, Depth.TEST),
        (70_000, 10_000, 300, Depth.WHOLE),
        (70_000, 0, 250, Depth.EXACT),
        (300_000, 0, 3600, Depth.WHOLE),
        (2_000_000, 50_000, 3600, Depth.EXACT),
    ],
)
def test_more_time_for_fewer_images_looks_deeper(
    images: int, tested: int, budget: float, expected: Depth
) -> None:
    assert depth_for(images, tested, pixels=784, budget=budget, cores=2) is expected


def test_more_cores_and_smaller_images_look_deeper() -> None:
    few = depth_for(40_000, 0, pixels=224 * 224, budget=600, cores=1)
    assert few is Depth.EXACT
    assert depth_for(40_000, 0, pixels=784, budget=600, cores=1) is Depth.WHOLE
    assert depth_for(40_000, 0, pixels=224 * 224, budget=600, cores=32) is Depth.WHOLE
