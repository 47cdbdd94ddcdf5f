"""Tests of `tunesmith.jobs.gate.crops`."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate import crops as job
from tunesmith.jobs.gate.alike import Depth, find_alike
from tunesmith.jobs.gate.crops import crops, tell_crops
from tunesmith.jobs.gate.findings import Data
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding, quarantine_rows

COUNT, TESTED, SIDE = 90, 30, 32
CROPS = {3: 63, 7: 70, 11: 20, 14: 50}  # of the test part, which begins at 60, and of the rest


@pytest.fixture
def data() -> Data:
    """Textures, some of them cut from others; one of another class, 7, and one copied, 40."""
    rough = np.random.default_rng(0).normal(size=(COUNT, SIDE, SIDE)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 2) for x in rough])
    x_NHWC = (128 + 200 * smooth).clip(0, 255).astype(np.uint8)[..., None]
    y_N = np.arange(COUNT) % 3
    for place, whole in CROPS.items():
        x_NHWC[place, ..., 0] = cv2.resize(x_NHWC[whole, 3:29, 1:30], (SIDE, SIDE))
        y_N[place] = y_N[whole]
    y_N[7], x_NHWC[40], y_N[40] = (y_N[7] + 1) % 3, x_NHWC[63], y_N[63]
    cut = COUNT - TESTED
    source = open_source((x_NHWC[:cut], y_N[:cut]), test=(x_NHWC[cut:], y_N[cut:]))
    shapes = np.full((COUNT, 2), SIDE)
    loaded = Loaded(pixels=x_NHWC, kept=np.arange(COUNT), rejected=(), shapes=shapes, resized=False)
    return Data(source=source, loaded=loaded)


def seen(data: Data) -> NDArray[np.float32]:
    """What a network sees that is not misled by crops."""
    chance = np.random.default_rng(1)
    f_ND = chance.normal(size=(COUNT, 16))
    f_ND[list(CROPS)] = f_ND[list(CROPS.values())]
    f_ND[40] = f_ND[63]
    return (f_ND + 0.1 * chance.normal(size=f_ND.shape)).astype(np.float32)


def test_what_crops_mean_and_what_is_listed(data: Data) -> None:
    pairs = crops(data, find_alike(data, Depth.WHOLE), seen(data), Cache(None))
    assert sorted(pairs.tolist()) == [[20, 11], [50, 14], [63, 3], [70, 7]]  # the whole, its crop
    said = [each for each in tell_crops(data, pairs) if isinstance(each, Finding)]
    assert [each.kind for each in said] == ["leak", "conflict", "copies"]
    leak, conflict, copies = said
    assert [(i.file, i.twin.file) for i in leak.items if i.twin] == [
        ("#3", "test:#3"),
        ("#7", "test:#10"),
    ]
    assert "2 test images (6.7 %) could be answered by heart" in leak.meaning
    assert [i.file for i in conflict.items] == ["#7", "test:#10"]
    assert [(i.file, i.twin.file) for i in copies.items if i.twin] == [
        ("#11", "#20"),
        ("#14", "#50"),
    ]
    rows = list(quarantine_rows(said, suspects=True))
    assert [(file, kind) for file, _, kind, _ in rows] == [("#3", "leak"), ("#7", "leak")]


def test_a_crop_in_other_colors_is_none(data: Data) -> None:
    tints = np.array([(240, 60, 20), (40, 90, 250)])  # of equal gray
    tinted = (data.loaded.pixels / 255 * tints[0]).astype(np.uint8)
    tinted[7] = (data.loaded.pixels[7] / 255 * tints[1]).astype(np.uint8)
    data = replace(data, loaded=replace(data.loaded, pixels=tinted))
    pairs = crops(data, find_alike(data, Depth.WHOLE), seen(data), Cache(None))
    assert sorted(pairs.tolist()) == [[20, 11], [50, 14], [63, 3]]


def test_what_was_compared_is_not_compared_again(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(*_: object) -> None:
        pytest.fail("This was known.")

    cache, alike, f_ND = Cache(None), find_alike(data, Depth.WHOLE), seen(data)
    pairs = crops(data, alike, f_ND, cache)
    monkeypatch.setattr(job, "find_crops", compare)
    np.testing.assert_array_equal(crops(data, alike, f_ND, cache), pairs)


def test_no_crops_are_said(data: Data) -> None:
    assert list(tell_crops(data, np.zeros((0, 2), np.int64))) == ["Cropped copies: none."]
