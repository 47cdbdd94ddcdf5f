"""Tests of `tunesmith.jobs.gate.conflicts`."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate.alike import Depth, Search, find_alike
from tunesmith.jobs.gate.conflicts import conflicts, torn
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding


def textures(count: int) -> NDArray[np.uint8]:
    chance = np.random.default_rng(0)
    rough = chance.normal(size=(count, 24, 24)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in rough])
    return (128 + 200 * smooth).clip(0, 255).astype(np.uint8)[..., None]


def frames(count: int) -> NDArray[np.uint8]:
    """Frames of a film in which hardly anything happens."""
    x_NHWC = textures(1).repeat(count, 0)
    x_NHWC[:, 8, 8, 0] = 2 * np.arange(count)
    return x_NHWC


def data_of(x_NHWC: NDArray[np.uint8], y_N: NDArray[np.int64]) -> Data:
    kept = np.arange(len(x_NHWC))
    shapes = np.full((len(kept), 2), 24)
    loaded = Loaded(pixels=x_NHWC, kept=kept, rejected=(), shapes=shapes, resized=False)
    return Data(source=open_source((x_NHWC, y_N)), loaded=loaded)


def finds(pairs: list[tuple[int, int]]) -> Search:
    """A search that names these pairs."""
    return lambda _gray_NSS, _asked: np.array(pairs)


def test_the_same_image_in_two_classes() -> None:
    x_NHWC, y_N = textures(60), np.arange(60) % 3
    x_NHWC[4], x_NHWC[9] = x_NHWC[50], x_NHWC[50]  # of classes 1, 0 and 2
    data = data_of(x_NHWC, y_N)
    alike = find_alike(data, Depth.WHOLE)
    found = conflicts(data, alike)
    assert isinstance(found, Finding)
    assert found.is_suspect
    assert not found.is_left_out
    assert sorted(item.file for item in found.items) == ["#4", "#50", "#9"]
    assert all(item.twin and item.twin.label != item.label for item in found.items)


def test_only_frames_that_were_compared_contradict_each_other() -> None:
    film = [(place, place + 1) for place in range(59)]
    data = data_of(frames(60), np.arange(60) // 30)
    alike = find_alike(data, Depth.WHOLE, finds(film))
    assert len(np.unique(alike.near_N)) == 1
    assert torn(data, alike).tolist() == [29, 30]
    found = conflicts(data, alike)
    assert isinstance(found, Finding)
    assert [(i.file, i.twin.file, i.note) for i in found.items if i.twin] == [
        ("#29", "#30", "nearly the same, but labeled otherwise"),
        ("#30", "#29", "nearly the same, but labeled otherwise"),
    ]


def test_all_that_are_equal_to_one_of_a_torn_pair_are_torn() -> None:
    x_NHWC, y_N = frames(60), np.zeros(60, np.int64)
    x_NHWC[50], x_NHWC[21], y_N[20:23] = x_NHWC[10], x_NHWC[20], 1
    data = data_of(x_NHWC, y_N)
    places = torn(data, find_alike(data, Depth.WHOLE, finds([(10, 20)])))
    assert places.tolist() == [10, 20, 21, 50]


def test_of_many_equal_images_only_those_with_the_rarer_label_are_listed() -> None:
    x_NHWC, y_N = textures(90), np.arange(90) % 3
    x_NHWC[:52], y_N[:50], y_N[50:52] = x_NHWC[0], 1, 2
    data = data_of(x_NHWC, y_N)
    alike = find_alike(data, Depth.EXACT)
    found = conflicts(data, alike)
    assert isinstance(found, Finding)
    assert [(i.file, i.twin.label) for i in found.items if i.twin] == [("#50", "1"), ("#51", "1")]
    assert torn(data, alike).tolist() == [50, 51]


def test_of_near_copies_the_one_that_differs_from_the_others_is_listed() -> None:
    y_N = np.zeros(60, np.int64)
    y_N[20], y_N[40:] = 1, 1
    data = data_of(frames(60), y_N)
    pairs = [(19, 20), (20, 21), (19, 21), (21, 22)]
    assert torn(data, find_alike(data, Depth.WHOLE, finds(pairs))).tolist() == [20]


def test_of_a_torn_pair_the_label_of_more_equal_images_prevails() -> None:
    x_NHWC, y_N = frames(60), np.zeros(60, np.int64)
    x_NHWC[50:53], y_N[20:23] = x_NHWC[10], 1
    data = data_of(x_NHWC, y_N)
    assert torn(data, find_alike(data, Depth.WHOLE, finds([(10, 20)]))).tolist() == [20]


def test_the_twin_that_is_shown_is_equal_to_the_pixel_if_one_is() -> None:
    x_NHWC, y_N = frames(60), np.arange(60) % 3
    x_NHWC[1:4] = x_NHWC[0]  # of classes 0, 1, 2 and 0
    data = data_of(x_NHWC, y_N)
    alike = find_alike(data, Depth.EXACT)
    exact_N = alike.exact_N.copy()
    exact_N[[0, 2]] = exact_N.max() + 1
    found = conflicts(data, replace(alike, exact_N=exact_N))
    assert isinstance(found, Finding)
    assert [(i.file, i.twin.file, i.note) for i in found.items if i.twin] == [
        ("#1", "#3", "equal to the pixel, but labeled otherwise"),
        ("#2", "#0", "equal to the pixel, but labeled otherwise"),
    ]
