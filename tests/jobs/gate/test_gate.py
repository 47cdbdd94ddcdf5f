"""Tests of `tunesmith.jobs.gate.gate`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunesmith.data import examine
from tunesmith.data.examine import Examined, Kind
from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate.alike import Alike, Depth
from tunesmith.jobs.gate.findings import Data, class_looks, inside, uneven
from tunesmith.jobs.gate.gate import depth_for, gate, one_each
from tunesmith.report.findings import Finding


@pytest.mark.parametrize(
    ("images", "tested", "budget", "expected"),
    [
        (1797, 0, 60, Depth.WHOLE),
        (70_000, 10_000, 60, Depth.EXACT),
        (70_000, 10_000, 200, Depth.TEST),
        (70_000, 10_000, 250, Depth.NEAR),
        (70_000, 10_000, 300, Depth.WHOLE),
        (70_000, 0, 200, Depth.EXACT),
        (70_000, 0, 250, Depth.NEAR),
        (300_000, 0, 3600, Depth.WHOLE),
        (2_000_000, 50_000, 3600, Depth.EXACT),
    ],
)
def test_more_time_for_fewer_images_looks_deeper(
    images: int, tested: int, budget: float, expected: Depth
) -> None:
    found = depth_for(images, tested, classes=10, pixels=784, budget=budget, cores=2)
    assert found is expected


def test_more_cores_and_smaller_images_look_deeper() -> None:
    few = depth_for(40_000, 0, classes=10, pixels=224 * 224, budget=600, cores=1)
    assert few is Depth.EXACT
    assert depth_for(40_000, 0, classes=10, pixels=224 * 224, budget=600, cores=2) is Depth.NEAR
    assert depth_for(40_000, 0, classes=10, pixels=784, budget=600, cores=1) is Depth.WHOLE
    assert depth_for(40_000, 0, classes=10, pixels=224 * 224, budget=600, cores=32) is Depth.WHOLE


def test_photographs_are_searched_for_near_copies_before_all_else() -> None:
    assert depth_for(30_000, 0, classes=10, pixels=160 * 160, budget=600, cores=2) is Depth.NEAR
    assert depth_for(5000, 0, classes=10, pixels=128 * 128, budget=60, cores=2) is Depth.NEAR


def test_more_classes_take_longer_to_look_at() -> None:
    few, many = (
        depth_for(60_000, 0, classes=classes, pixels=1024, budget=250, cores=2)
        for classes in (10, 2000)
    )
    assert (few, many) == (Depth.WHOLE, Depth.NEAR)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(None, [0, 2, 3, 4, 5]), (np.array([0, 1, 2, 3, 4, 4]), [0, 2, 3, 4])],
)
def test_of_copies_and_stated_groups_one_of_each_kind_counts(
    stated: Any, expected: list[int]
) -> None:
    same_N, kinds_N = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 0, 0, 1, 0, 0])
    data: Any = SimpleNamespace(
        source=SimpleNamespace(groups=stated), loaded=SimpleNamespace(kept=np.arange(6))
    )
    alike = Alike(
        depth=Depth.WHOLE,
        exact_N=np.arange(6),
        seen_N=np.arange(6),
        near_N=same_N,
        near_P2=np.zeros((0, 2), np.int64),
        same_N=same_N,
        groups_N=np.arange(6),
    )
    assert one_each(data, alike, kinds_N).tolist() == expected


def opaque(
    brightest: int, channels: int, examined: Sequence[Examined] = (), *, classes: int = 2
) -> Data:
    """Twenty images whose colors are no brighter, and which are opaque."""
    x_NHWC = np.random.default_rng(0).integers(0, brightest + 1, (20, 8, 8, channels))
    if channels == 4:
        x_NHWC[..., 3] = 255
    pixels = x_NHWC.astype(np.uint8)
    kept, shapes = np.arange(20), np.full((20, 2), 8)
    loaded = Loaded(
        pixels=pixels, kept=kept, rejected=(), shapes=shapes, resized=False, examined=examined
    )
    return Data(source=open_source((pixels, kept % classes)), loaded=loaded)


@pytest.mark.parametrize(
    ("brightest", "channels", "weight"),
    [(15, 1, "serious"), (15, 4, "serious"), (63, 1, "serious"), (200, 1, "notable")],
)
def test_files_that_use_only_their_lower_bits_are_read_dark(
    brightest: int, channels: int, weight: str
) -> None:
    deep = examine.Finding(Kind.DEEP, "16 bits")
    examined = [Examined(format="PNG", findings=(deep,))] * 20
    found, *_ = inside(opaque(brightest, channels, examined))
    assert isinstance(found, Finding)
    assert found.weight == weight
    assert ("stretch" in found.meaning) is (weight == "serious")
    assert "Nothing of it gets into a model" not in found.meaning
    assert len(found.items) == 20


def test_what_was_examined_is_told_without_reading_a_file_again() -> None:
    def read(index: int) -> bytes:
        raise AssertionError(index)

    hidden = examine.Finding(Kind.HIDDEN, "a shell script")
    data = opaque(255, 1, [Examined(format="PNG", findings=(hidden,))] * 20)
    unread = Data(source=replace(data.source, read=read), loaded=data.loaded)
    none = np.zeros((0, 2), np.int64)
    found = gate(unread, Depth.WHOLE, lambda _: nullcontext(), search=lambda *_: none).findings
    assert "file-hidden" in [each.kind for each in found]


@pytest.mark.parametrize("cats", [500, 400])
def test_sizes_of_which_hardly_two_are_equal_give_a_class_away(cats: int) -> None:
    chance, is_cat_N = np.random.default_rng(0), np.arange(1000) < cats
    pixels = chance.integers(0, 256, (1000, 8, 8, 1)).astype(np.uint8)
    large_N2, small_N2 = (
        chance.integers(least, most, (1000, 2)) for least, most in ((900, 1101), (250, 351))
    )
    shapes_N2 = np.where(is_cat_N[:, None], large_N2, small_N2)
    loaded = Loaded(
        pixels=pixels, kept=np.arange(1000), rejected=(), shapes=shapes_N2, resized=True
    )
    data = Data(source=open_source((pixels, is_cat_N.astype(np.int64))), loaded=loaded)
    found = gate(
        data,
        Depth.WHOLE,
        lambda _: nullcontext(),
        search=lambda *_: np.zeros((0, 2), np.int64),
    ).findings
    (clue,) = (each for each in found if each.kind == "shortcut")
    assert clue.title.endswith("can be guessed from the size in pixels")
    assert "tells which is which in 100 % of cases (guessing: 50 %)" in clue.meaning


def test_no_one_is_advised_to_use_the_metric_that_is_in_use() -> None:
    data = opaque(200, 1, classes=3)
    by_accuracy, balanced = uneven(data, "accuracy"), uneven(data, "balanced_accuracy")
    assert by_accuracy is not None
    assert by_accuracy.meaning.endswith("train with --metric balanced_accuracy.")
    assert balanced is not None
    assert balanced.meaning.endswith("fewer than 20 images to learn from.")


def test_equal_classes_are_not_told_apart_by_size() -> None:
    found = uneven(opaque(200, 1), "accuracy")
    assert found is not None
    assert found.title == "Few images"
    assert found.meaning == (
        "Each class has 10 images to learn from: to be learned well, a class needs 20 or more."
    )


def test_statistics_of_a_class_are_given_by_part_too() -> None:
    x_NHWC = np.arange(40, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    source = open_source((x_NHWC[:30], np.arange(30) % 2), test=(x_NHWC[30:], np.zeros(10, int)))
    kept, shapes = np.arange(40), np.full((40, 2), 8)
    loaded = Loaded(pixels=x_NHWC, kept=kept, rejected=(), shapes=shapes, resized=False)
    data = Data(source=source, loaded=loaded)
    first, second = class_looks(data, {"brightness": np.arange(40, dtype=np.float32)})
    assert first.counts == {"images": 15, "train": 0, "val": 0, "test": 10}
    assert first.by_part == {"images": {"brightness": 14.0}, "test": {"brightness": 34.5}}
    assert first.looks == {"brightness": 24.0}
    assert second.by_part == {"images": {"brightness": 15.0}}
