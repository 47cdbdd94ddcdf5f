"""Tests of `tunesmith.data.identical`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import encode_png

from tunesmith.core.pixels import squeeze
from tunesmith.data import identical as module
from tunesmith.data.clean import twins
from tunesmith.data.decode import load, read_images
from tunesmith.data.identical import identical
from tunesmith.data.loaded import Loaded
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source

SIDE = 16


def photo(seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (600, 600)), np.uint8)


def scratched(x_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    changed = x_HWC.copy()
    changed[300, 300] ^= 1
    return changed


def loaded_from(root: object, folder: Path) -> tuple[Source, Loaded]:
    source = open_source(root)
    loaded = load(
        source,
        channels=3,
        size=(SIDE, SIDE),
        resize=squeeze,
        threads=1,
        memory_bound=10**9,
        folder=folder,
    )
    return source, loaded


def groups(source: Source, loaded: Loaded) -> dict[int, set[str]]:
    """Names of the images of each group, of which all are equal as loaded."""
    seen_N = twins(loaded.pixels, source.labels[loaded.kept])
    assert len(set(seen_N.tolist())) == 1
    found: dict[int, set[str]] = {}
    for place, number in enumerate(identical(source, loaded, seen_N, threads=2).tolist()):
        found.setdefault(number, set()).add(source.names[loaded.kept[place]])
    assert sorted(found) == list(range(len(found)))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Files of which five are equal as loaded, and three to the pixel."""
    x_HWC = photo()
    files = {
        "a/0.png": encode_png(x_HWC),
        "a/1.png": encode_png(x_HWC),
        "b/2.bmp": cv2.imencode(".bmp", x_HWC[..., ::-1])[1].tobytes(),
        "b/3.png": encode_png(scratched(x_HWC)),
        "b/4.png": encode_png(squeeze(x_HWC, (SIDE, SIDE))),
    }
    for name, content in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


def test_what_differs_in_one_pixel_or_in_size_is_not_equal(root: Path, tmp_path: Path) -> None:
    found = groups(*loaded_from(root, tmp_path))
    assert sorted(found.values(), key=min) == [
        {"a/0.png", "a/1.png", "b/2.bmp"},
        {"b/3.png"},
        {"b/4.png"},
    ]


def test_jpegs_that_were_decoded_at_a_fraction_are_compared_in_full(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "b").mkdir()
    jpeg = cv2.imencode(".jpg", photo())[1].tobytes()
    comment = b"\xff\xfe\0\4hi"
    other = cv2.imencode(".jpg", scratched(photo()), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    for name, content in {
        "a/0.jpg": jpeg,
        "a/1.jpg": jpeg[:2] + comment + jpeg[2:],
        "b/2.jpg": other,
        "b/3.jpg": other,
    }.items():
        (tmp_path / "data" / name).write_bytes(content)
    source, loaded = loaded_from(tmp_path / "data", tmp_path)
    loaded.pixels[2:] = loaded.pixels[0]
    assert sorted(groups(source, loaded).values(), key=min) == [
        {"a/0.jpg", "a/1.jpg"},
        {"b/2.jpg", "b/3.jpg"},
    ]


def test_equal_files_are_not_decoded_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def noting(source: Source, indices: list[int], *rest: Any) -> Iterator[Any]:
        decoded.extend(indices)
        return read_images(source, indices, *rest)

    monkeypatch.setattr(module, "read_images", noting)
    source, loaded = loaded_from(root, tmp_path)
    groups(source, loaded)
    assert [source.names[index] for index in sorted(decoded)] == ["a/0.png", "b/2.bmp", "b/3.png"]
    for name in ("2.bmp", "3.png", "4.png"):
        (root / "b" / name).write_bytes((root / "a" / "0.png").read_bytes())
    decoded.clear()
    groups(*loaded_from(root, tmp_path))
    assert decoded == []


def test_arrays_are_compared_by_their_pixels(tmp_path: Path) -> None:
    x_HWC = photo()
    images = [x_HWC, x_HWC.copy(), scratched(x_HWC), x_HWC.copy()]
    found = groups(*loaded_from([(x, i % 2) for i, x in enumerate(images)], tmp_path))
    assert sorted(map(len, found.values())) == [1, 3]


def test_what_can_no_longer_be_read_is_equal_to_nothing(root: Path, tmp_path: Path) -> None:
    source, loaded = loaded_from(root, tmp_path)
    (root / "a" / "1.png").unlink()
    (root / "b" / "2.bmp").write_bytes(b"no image")
    assert sorted(map(len, groups(source, loaded).values())) == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(("most", "sizes"), [(3, [1, 1, 1, 1, 1]), (4, [1, 1, 3])])
def test_more_than_may_be_read_again_are_not(
    root: Path, tmp_path: Path, most: int, sizes: list[int]
) -> None:
    source, loaded = loaded_from(root, tmp_path)
    seen_N = twins(loaded.pixels, source.labels[loaded.kept])
    found_N = identical(source, loaded, seen_N, threads=1, most=most)
    assert sorted(np.unique(found_N, return_counts=True)[1].tolist()) == sizes


def test_images_that_were_not_resized_are_not_read_again() -> None:
    def read(index: int) -> bytes:
        raise AssertionError(index)

    x_NHWC = np.zeros((4, 8, 8, 1), np.uint8)
    source = replace(open_source((x_NHWC, np.arange(4) % 2)), read=read)
    shapes = np.full((4, 2), 8)
    loaded = Loaded(pixels=x_NHWC, kept=np.arange(4), rejected=(), shapes=shapes, resized=False)
    assert identical(source, loaded, np.zeros(4, np.int64), threads=1).tolist() == [0, 0, 0, 0]
