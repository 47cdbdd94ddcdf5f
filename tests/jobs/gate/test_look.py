"""Tests of `tunesmith.jobs.gate.look`."""

import math
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
from tests.conftest import encode_png

from tunesmith.core.pixels import DAMAGED, NO_MEMORY, decode, squeeze
from tunesmith.data.decode import Sample, sample
from tunesmith.data.decoder import DEFAULT, Decoder, Named, _death
from tunesmith.data.examine import Kind
from tunesmith.data.loaded import Decoded
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate import look as module
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.look import look
from tunesmith.records.cache import FILE, Cache
from tunesmith.report.terminal import Terminal


class MakeFolder(Protocol):
    def __call__(
        self, name: str = "shapes", *, count: int = 12, size: tuple[int, int] = (16, 16)
    ) -> Path: ...


def look_at(root: object, folder: Path) -> Data:
    shown = Terminal(budget=math.inf, log_path=folder / "log", quiet=True)
    with Cache(folder / FILE) as cache:
        looked = look(open_source(root), folder, cache, shown)
        assert not cache.trouble
    return looked


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names, from now on, the files that are decoded, except for those of the sample."""
    names: list[str] = []
    examine = Decoder.examine

    def noting(
        decoder: Decoder, files: Sequence[Named], channels: int | None, **options: Any
    ) -> Iterator[Decoded | str]:
        names.extend(str(name) for _, name in files)
        return examine(decoder, files, channels, **options)

    def unnoted(source: Source, **options: Any) -> Sample:
        found = sample(source, **options)
        names.clear()
        return found

    monkeypatch.setattr(Decoder, "examine", noting)
    monkeypatch.setattr(module, "sample", unnoted)
    return names


def assert_equal(one: Data, other: Data) -> None:
    np.testing.assert_array_equal(one.loaded.pixels, other.loaded.pixels)
    np.testing.assert_array_equal(one.loaded.shapes, other.loaded.shapes)
    np.testing.assert_array_equal(one.loaded.kept, other.loaded.kept)
    assert one.loaded.rejected == other.loaded.rejected
    assert one.loaded.examined == other.loaded.examined


def test_a_second_look_is_the_first_without_the_work(
    make_folder: MakeFolder, tmp_path: Path, fresh: list[str]
) -> None:
    root = make_folder(count=100)
    (root / "disc" / "000.png").write_bytes(b"no image")
    with (root / "ring" / "001.png").open("ab") as file:
        file.write(b"#!/bin/sh")
    first = look_at(root, tmp_path)
    assert len(fresh) == 300
    assert len(first.loaded.kept) == len(first.loaded.examined) == 299
    assert [each.reason[:14] for each in first.loaded.rejected] == ["it is no image"]
    (found,) = [each for each in first.loaded.examined if each.findings]
    assert found.findings[0].kind is Kind.HIDDEN
    fresh.clear()
    assert_equal(look_at(root, tmp_path), first)
    assert fresh == []


def test_what_failed_for_want_of_memory_or_time_is_tried_again(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = [NO_MEMORY, _death(-signal.SIGPROF, DEFAULT).reason, _death(-9, DEFAULT).reason]
    root, examine = make_folder(count=4), Decoder.examine
    failing = ["disc/000.png", "disc/001.png", "disc/002.png"]

    def failed(
        decoder: Decoder, files: Sequence[Named], channels: int | None, **options: Any
    ) -> Iterator[Decoded | str]:
        why = dict(zip(failing, reasons, strict=True))
        for (_, name), image in zip(
            files, examine(decoder, files, channels, **options), strict=True
        ):
            yield why.get(name or "", image)

    with monkeypatch.context() as patched:
        patched.setattr(Decoder, "examine", failed)
        assert [each.reason for each in look_at(root, tmp_path).loaded.rejected] == reasons
    assert look_at(root, tmp_path).loaded.rejected == ()


def test_a_new_cache_is_not_asked_for_each_image(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    get = Cache.get

    def noting(cache: Cache, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        asked.append(len(keys))
        return get(cache, keys)

    monkeypatch.setattr(Cache, "get", noting)
    root = make_folder(count=10)
    look_at(root, tmp_path)
    assert sum(asked) == 1  # the size of the thumbnails
    look_at(root, tmp_path)
    assert sum(asked) == 1 + 1 + 30


def test_only_what_changed_is_looked_at_again(
    make_folder: MakeFolder, tmp_path: Path, fresh: list[str]
) -> None:
    root = make_folder(count=40)
    look_at(root, tmp_path)
    fresh.clear()
    changed = root / "disc" / "003.png"
    changed.write_bytes(encode_png(np.full((16, 16, 3), 77, np.uint8)))
    (root / "disc" / "004.png").rename(root / "ring" / "moved.png")  # its content is known
    (root / "disc" / "005.png").rename(root / "disc" / "005.jpg")  # its name is wrong now
    looked = look_at(root, tmp_path)
    assert sorted(fresh) == ["disc/003.png", "disc/005.jpg"]
    place = looked.source.names.index("disc/003.png")
    assert (looked.loaded.pixels[place] == 77).all()


def test_broken_and_foreign_values_are_computed_anew(
    make_folder: MakeFolder, tmp_path: Path, fresh: list[str]
) -> None:
    root = make_folder(count=20)
    first = look_at(root, tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:20_000] + b"\xff" * 3000 + whole[23_000:])
    fresh.clear()
    shown = Terminal(budget=math.inf, log_path=tmp_path / "log", quiet=True)
    with Cache(tmp_path / FILE) as cache:
        assert_equal(look(open_source(root), tmp_path, cache, shown), first)
    assert fresh


def test_images_of_many_sizes_are_made_small(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    sides = chance.integers(40, 60, (30, 2))
    for number, (height, width) in enumerate(sides):
        (tmp_path / "data" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        image = chance.integers(0, 256, (height, width, 1), dtype=np.uint8)
        path = tmp_path / "data" / "ab"[number % 2] / f"{number:02}.png"
        path.write_bytes(encode_png(image))
    looked = look_at(tmp_path / "data", tmp_path)
    assert looked.loaded.pixels.shape == (30, 40, 40, 1)
    for place in (0, 29):
        path = tmp_path / "data" / looked.source.names[place]
        decoded = decode(path.read_bytes(), 1)
        assert looked.loaded.shapes[place].tolist() == list(decoded.shape[:2])
        expected = squeeze(decoded, (40, 40))
        np.testing.assert_array_equal(looked.loaded.pixels[place], expected)


def test_arrays_have_no_files(tmp_path: Path, fresh: list[str]) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (300, 9, 8, 1), dtype=np.uint8)
    looked = look_at((x_NHWC, np.arange(300) % 3), tmp_path)
    np.testing.assert_array_equal(looked.loaded.pixels, x_NHWC)
    assert looked.loaded.examined == ()
    assert fresh == []


def test_large_jpegs_are_decoded_at_a_fraction_and_damage_shows_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough: list[int | None] = []
    examine = Decoder.examine

    def noting(
        decoder: Decoder, files: Sequence[Named], channels: int | None, **options: Any
    ) -> Iterator[Decoded | str]:
        enough.append(options.get("enough"))
        return examine(decoder, files, channels, **options)

    chance = np.random.default_rng(0)
    for number in range(8):
        coarse = chance.integers(0, 256, (6, 9, 3), np.uint8)
        image = cv2.resize(coarse, (900, 600), interpolation=cv2.INTER_CUBIC)
        kind = [cv2.IMWRITE_JPEG_PROGRESSIVE, number // 2 % 2]
        content = cv2.imencode(".jpg", image, kind)[1].tobytes()
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if number < 4 else content[: -len(content) // 10])
    sound = [tmp_path / "data" / "ab"[number % 2] / f"{number}.jpg" for number in range(4)]
    monkeypatch.setattr(Decoder, "examine", noting)
    looked = look_at(tmp_path / "data", tmp_path)
    assert enough[-1] == 2 * 64
    assert len(looked.loaded.kept) == len(sound)
    assert [each.reason for each in looked.loaded.rejected] == [DAMAGED.format("JPEG")] * 4
    assert looked.loaded.shapes.tolist() == [[600, 900]] * 4
    for place, pixels in enumerate(looked.loaded.pixels):
        path = tmp_path / "data" / looked.source.names[looked.loaded.kept[place]]
        whole = squeeze(decode(path.read_bytes(), 3), (64, 64))
        assert np.abs(pixels.astype(int) - whole).mean() < 4
