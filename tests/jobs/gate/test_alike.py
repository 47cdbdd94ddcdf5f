"""Tests of `tunesmith.jobs.gate.alike`."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate.alike import Depth, Search, copies, find_alike, kept_leaks, leaks
from tunesmith.jobs.gate.conflicts import conflicts, torn
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding
from tunesmith.screening.copies import find_mirrored


def textures(count: int) -> NDArray[np.uint8]:
    chance = np.random.default_rng(0)
    rough = chance.normal(size=(count, 24, 24)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in rough])
    return (128 + 200 * smooth).clip(0, 255).astype(np.uint8)[..., None]


def data_of(x_NHWC: NDArray[np.uint8], y_N: NDArray[np.int64], tested: int) -> Data:
    """Images of which the last ``tested`` are the test part."""
    count = len(x_NHWC) - tested
    test = (x_NHWC[count:], y_N[count:]) if tested else None
    source = open_source((x_NHWC[:count], y_N[:count]), test=test)
    kept = np.arange(len(x_NHWC))
    shapes = np.full((len(kept), 2), 24)
    loaded = Loaded(pixels=x_NHWC, kept=kept, rejected=(), shapes=shapes, resized=False)
    return Data(source=source, loaded=loaded)


def dimmed(x_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (x_HWC // 2 + 20).astype(np.uint8)


def test_copies_of_test_images_are_named_with_their_twins() -> None:
    x_NHWC, y_N = textures(90), np.arange(90) % 3
    x_NHWC[3], x_NHWC[7] = x_NHWC[63], dimmed(x_NHWC[70])  # the test part begins at 60
    y_N[3], y_N[7] = y_N[63], y_N[70]
    data = data_of(x_NHWC, y_N, tested=30)
    alike = find_alike(data, Depth.WHOLE)
    found = leaks(data, alike)
    assert isinstance(found, Finding)
    assert found.is_left_out
    pairs = [(i.file, i.twin.file, i.note) for i in found.items if i.twin]
    assert pairs == [
        ("#3", "test:#3", "equal to the pixel"),
        ("#7", "test:#10", "nearly the same"),
    ]
    assert "2 test images (6.7 %)" in found.meaning
    again = copies(data, alike)
    assert isinstance(again, Finding)
    assert "Equal to the pixel: 1; re-encoded, brightened, resized or shifted: 1" in again.meaning
    assert isinstance(conflicts(data, alike), str)


def test_clean_data_are_said_to_be_clean() -> None:
    x_NHWC, y_N = textures(60), np.arange(60) % 3
    data = data_of(x_NHWC, y_N, tested=12)
    alike = find_alike(data, Depth.WHOLE)
    for look in (leaks, conflicts, copies):
        assert "none" in str(look(data, alike))
    assert len(np.unique(alike.groups_N)) == 60


def test_a_mirror_image_is_a_copy_where_both_bear_one_label() -> None:
    x_NHWC, y_N = textures(90), np.arange(90) % 3
    x_NHWC[3], x_NHWC[7] = x_NHWC[63, :, ::-1], dimmed(x_NHWC[70, :, ::-1])
    y_N[3], y_N[7] = y_N[63], (y_N[70] + 1) % 3  # as b and d
    data = data_of(x_NHWC, y_N, tested=30)
    assert "none" in str(leaks(data, find_alike(data, Depth.WHOLE)))
    alike = find_alike(data, Depth.WHOLE, mirrored=find_mirrored)
    found, again = leaks(data, alike), copies(data, alike)
    assert isinstance(found, Finding)
    assert [(i.file, i.twin.file, i.note) for i in found.items if i.twin] == [
        ("#3", "test:#3", "mirrored")
    ]
    assert isinstance(again, Finding)
    assert again.meaning.startswith("Mirrored: 1. ")
    assert "none" in str(conflicts(data, alike))


def test_less_time_finds_less() -> None:
    x_NHWC, y_N = textures(60), np.arange(60) % 3
    x_NHWC[1], x_NHWC[2], x_NHWC[3] = dimmed(x_NHWC[40]), dimmed(x_NHWC[20]), x_NHWC[50]
    data = data_of(x_NHWC, y_N, tested=30)
    groups = {depth: find_alike(data, depth).groups_N for depth in Depth}
    assert all(found[3] == found[50] for found in groups.values())
    near_a_test_image = [depth for depth, found in groups.items() if found[1] == found[40]]
    near_another = [depth for depth, found in groups.items() if found[2] == found[20]]
    assert near_a_test_image == [Depth.TEST, Depth.NEAR, Depth.WHOLE]
    assert near_another == [Depth.NEAR, Depth.WHOLE]


def frames(count: int) -> NDArray[np.uint8]:
    """Frames of a film in which hardly anything happens."""
    x_NHWC = textures(1).repeat(count, 0)
    x_NHWC[:, 8, 8, 0] = 2 * np.arange(count)
    return x_NHWC


def finds(pairs: list[tuple[int, int]]) -> Search:
    """A search that names these pairs."""
    return lambda _gray_NSS, _asked: np.array(pairs)


def test_so_many_near_copies_of_test_images_are_no_accident() -> None:
    x_NHWC, y_N = frames(90), np.arange(90) % 3
    x_NHWC[30], y_N[:15] = x_NHWC[80], y_N[60:65].repeat(3)
    y_N[30] = y_N[80]
    data = data_of(x_NHWC, y_N, tested=30)
    pairs = [(place, 60 + place // 3) for place in range(15)]
    alike = find_alike(data, Depth.WHOLE, finds(pairs))
    exact, near = leaks(data, alike), kept_leaks(data, alike)
    assert isinstance(exact, Finding)
    assert [item.file for item in exact.items] == ["#30"]
    assert near is not None
    assert (near.weight, near.is_left_out, near.is_suspect) == ("serious", False, True)
    assert [(i.file, i.twin.file) for i in near.items if i.twin] == [
        (f"#{place}", f"test:#{place // 3}") for place in range(15)
    ]
    assert "5 test images (16.7 %)" in near.meaning
    assert torn(data, alike).tolist() == list(range(15))
    assert alike.groups_N[0] != alike.groups_N[60]
    assert alike.groups_N[30] == alike.groups_N[80]
    few = find_alike(data, Depth.WHOLE, finds(pairs[:6]))
    assert kept_leaks(data, few) is None
    assert few.groups_N[0] == few.groups_N[60]


def test_where_near_copies_are_kept_none_are_said_to_be_missing() -> None:
    data = data_of(frames(90), np.arange(90) % 3, tested=30)
    alike = find_alike(data, Depth.WHOLE, finds([(place, 60) for place in range(40)]))
    assert leaks(data, alike) == (
        "Copies of test images among those to learn from, equal to the pixel: none."
    )


def test_what_is_equal_only_when_made_small_is_called_so() -> None:
    x_NHWC, y_N = textures(60), np.arange(60) % 3
    whole = [np.repeat(np.repeat(x_HWC, 20, axis=0), 20, axis=1) for x_HWC in x_NHWC]
    for place, twin in ((1, 50), (2, 50), (4, 20)):  # the test part begins at 48
        x_NHWC[place], y_N[place] = x_NHWC[twin], y_N[twin]
        whole[place] = whole[twin].copy()
    whole[1][100, 100], whole[4][100, 100] = 0, 255  # a defect
    y_N[4] = (y_N[20] + 1) % 3
    source = open_source(
        [(x, int(y)) for x, y in zip(whole[:48], y_N[:48], strict=True)],
        test=[(x, int(y)) for x, y in zip(whole[48:], y_N[48:], strict=True)],
    )
    loaded = Loaded(
        pixels=x_NHWC,
        kept=np.arange(60),
        rejected=(),
        shapes=np.full((60, 2), 480),
        resized=True,
    )
    data = Data(source=source, loaded=loaded)
    alike = find_alike(data, Depth.EXACT, threads=2)
    found, torn_apart, again = leaks(data, alike), conflicts(data, alike), copies(data, alike)
    assert isinstance(found, Finding)
    assert [(i.file, i.note) for i in found.items] == [
        ("#1", "equal at 24 x 24 pixels"),
        ("#2", "equal to the pixel"),
    ]
    assert isinstance(torn_apart, Finding)
    assert [(i.file, i.note) for i in torn_apart.items] == [
        ("#4", "equal at 24 x 24 pixels, but labeled otherwise"),
        ("#20", "equal at 24 x 24 pixels, but labeled otherwise"),
    ]
    assert "too small to show at 24 x 24 pixels" in torn_apart.meaning
    assert isinstance(again, Finding)
    assert again.meaning.startswith("Equal to the pixel: 1; equal at 24 x 24 pixels: 2. ")
