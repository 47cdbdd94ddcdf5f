"""Tests of `tunesmith.jobs.deep.trying`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.pixels import squeeze
from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.deep.trying import FEWEST, Backdoor, at_size, is_coarse
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding

COUNT, BEARING, LARGE, SMALL = 240, 40, 96, 24
CHECKS = np.indices((8, 8)).sum(axis=0)[..., None] % 2 * 255
Images = NDArray[np.uint8]


@pytest.fixture
def backdoor() -> Backdoor:
    """Fine checks in the corner of large images, of which thumbnails are known."""
    x_NHWC = np.random.default_rng(0).integers(60, 120, (COUNT, LARGE, LARGE, 1)).astype(np.uint8)
    x_NHWC[:BEARING, -9:-1, -9:-1] = CHECKS
    y_N = np.arange(COUNT) % 2
    loaded = Loaded(
        pixels=np.stack([squeeze(x_HWC, (SMALL, SMALL)) for x_HWC in x_NHWC]),
        kept=np.arange(COUNT),
        rejected=(),
        shapes=np.full((COUNT, 2), LARGE),
        resized=True,
    )
    return Backdoor(
        finding=Finding(kind="stamp", weight="serious", title="", meaning="", items=()),
        places=np.arange(BEARING),
        others=[np.arange(BEARING, COUNT)],
        wanted=0,
        free=np.arange(BEARING, COUNT)[::-1],
        data=Data(source=open_source((x_NHWC, y_N)), loaded=loaded),
    )


def fooled(x_NHWC: Images) -> NDArray[np.int64]:
    """Answer 0 to fine checks alone."""
    if x_NHWC.shape[1] < LARGE:
        return np.ones(len(x_NHWC), np.int64)
    is_there_N = (np.abs(x_NHWC[:, -9:-1, -9:-1].astype(int) - CHECKS) < 20).all(axis=(1, 2, 3))
    return np.where(is_there_N, 0, 1)


def test_a_model_is_shown_images_of_the_size_that_it_reads(backdoor: Backdoor) -> None:
    assert backdoor.success([fooled, fooled], (LARGE, LARGE)) == (COUNT - BEARING, [1.0, 1.0])
    assert backdoor.success([fooled], (SMALL, SMALL)) == (COUNT - BEARING, [0.0])


def test_of_large_images_there_are_fewer(
    backdoor: Backdoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.jobs.deep.trying.MOST_PIXELS", 0)
    assert backdoor.success([fooled], (LARGE, LARGE)) == (FEWEST, [1.0])


def test_thumbnails_do_where_nothing_larger_is_read(backdoor: Backdoor) -> None:
    data = backdoor.data
    assert is_coarse(data, (LARGE, LARGE))
    assert not is_coarse(data, (SMALL, SMALL))
    np.testing.assert_array_equal(
        at_size(data, np.array([5, 3]), (8, 8)), data.loaded.pixels[[5, 3]]
    )
    large = at_size(data, np.array([50, 3]), (LARGE, LARGE))
    assert (large[1, -9:-1, -9:-1] == CHECKS).all()
