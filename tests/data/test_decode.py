"""Tests of `tunesmith.data.decode`."""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import encode_png

from tunesmith.core.pixels import decode as decode_image
from tunesmith.data import decode
from tunesmith.data.decode import load, on_threads, sample
from tunesmith.data.decoder import Decoder, Named
from tunesmith.data.examine import examine
from tunesmith.data.loaded import CHUNK, Decoded, Loaded
from tunesmith.data.originals import originals
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source

Pixels = NDArray[np.uint8]
COUNT = 2 * CHUNK + 44


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(image, size[::-1]), np.uint8).reshape(*size, -1)


def read(
    source: Source,
    folder: Path,
    *,
    bound: int = 10**9,
    channels: int = 1,
    size: tuple[int, int] = (4, 6),
) -> Loaded:
    return load(
        source,
        channels=channels,
        size=size,
        resize=resize,
        threads=2,
        memory_bound=bound,
        folder=folder,
    )


@pytest.fixture
def numbered(tmp_path: Path) -> tuple[Path, Pixels]:
    """Return a folder of two classes, and its images in the order of the source."""
    x_NHWC = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 6, 1), dtype=np.uint8)
    for index, image in enumerate(x_NHWC):
        path = tmp_path / "data" / ("a" if index < COUNT // 2 else "b") / f"{index:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(image))
    return tmp_path / "data", x_NHWC


@pytest.mark.parametrize("bound", [10**9, 0])
def test_images_come_in_the_order_of_the_source(
    numbered: tuple[Path, Pixels], tmp_path: Path, bound: int
) -> None:
    folder, x_NHWC = numbered
    loaded = read(open_source(folder), tmp_path, bound=bound)
    assert np.array_equal(loaded.pixels, x_NHWC)
    assert loaded.kept.tolist() == list(range(COUNT))
    assert not loaded.rejected
    assert not loaded.resized
    assert isinstance(loaded.pixels, np.memmap) == (bound == 0)
    assert not (tmp_path / "pixels.dat").exists()


@pytest.mark.parametrize("bound", [10**9, 0])
def test_what_cannot_be_decoded_is_listed_and_never_replaced(
    numbered: tuple[Path, Pixels], tmp_path: Path, bound: int
) -> None:
    folder, x_NHWC = numbered
    names = open_source(folder).names
    bad = {0: b"", 7: b"a text", CHUNK: encode_png(x_NHWC[0])[:-20], COUNT - 1: b"\x89PNG"}
    for index, data in bad.items():
        (folder / names[index]).write_bytes(data)
    source = open_source(folder)
    gone = 100
    (folder / source.names[gone]).unlink()
    loaded = read(source, tmp_path, bound=bound)
    kept = [index for index in range(COUNT) if index not in {*bad, gone}]
    assert loaded.kept.tolist() == kept
    assert np.array_equal(loaded.pixels, x_NHWC[kept])
    assert [r.index for r in loaded.rejected] == sorted([*bad, gone])
    assert {r.index: r.reason for r in loaded.rejected} == {
        0: "the file is empty",
        7: "it is no image of a known format, whatever its name says",
        gone: "No such file or directory",
        CHUNK: "the PNG is damaged, cut off, or of a kind that is not supported",
        COUNT - 1: "the PNG is damaged, cut off, or of a kind that is not supported",
    }
    assert loaded.rejected[1].name == source.names[7]


@pytest.mark.usefixtures("faults")
def test_a_file_that_crashes_its_decoder_costs_itself_alone(
    numbered: tuple[Path, Pixels], tmp_path: Path
) -> None:
    folder, x_NHWC = numbered
    bad = {3: b"signal 11", 4: b"signal 9", CHUNK + 1: b"exit"}
    names = open_source(folder).names
    for index, data in bad.items():
        (folder / names[index]).write_bytes(data)
    source = open_source(folder)
    loaded = read(source, tmp_path)
    kept = [index for index in range(COUNT) if index not in bad]
    assert np.array_equal(loaded.pixels, x_NHWC[kept])
    assert {r.index: r.reason for r in loaded.rejected} == {
        3: "it crashed the decoder (signal 11)",
        4: "it crashed the decoder (signal 9)",
        CHUNK + 1: "it crashed the decoder (exit status 7)",
    }
    found = sample(source, count=COUNT, seed=0, threads=2)
    assert {r.index for r in found.rejected} == set(bad)
    indices, _ = zip(*originals(source, np.arange(9), channels=1, threads=2), strict=True)
    assert set(np.concatenate(indices)) == set(range(9)) - set(bad)


def test_files_are_examined_as_they_are_decoded(
    numbered: tuple[Path, Pixels], tmp_path: Path
) -> None:
    folder, _ = numbered
    names = open_source(folder).names
    (folder / names[3]).write_bytes(b"")
    with (folder / names[5]).open("ab") as file:
        file.write(b"#!/bin/sh")
    (folder / names[-1]).rename(folder / f"{names[-1]}.jpg")
    source = open_source(folder)
    loaded = read(source, tmp_path)
    expected = [examine(bytes(source.read(index)), source.names[index]) for index in loaded.kept]
    assert loaded.examined == expected
    assert len(loaded.examined) == COUNT - 1
    assert [place for place, each in enumerate(expected) if each.findings] == [4, COUNT - 2]


def test_files_are_examined_where_that_is_asked_for_or_timed(
    numbered: tuple[Path, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(numbered[0])
    named: list[bool] = []
    honest = Decoder.examine

    def noting(
        decoder: Decoder,
        files: Sequence[Named],
        channels: int | None,
        *,
        enough: int | None = None,
    ) -> Iterator[Decoded | str]:
        named.extend(name is not None for _, name in files)
        return honest(decoder, files, channels, enough=enough)

    monkeypatch.setattr(Decoder, "examine", noting)
    ((indices, _),) = originals(source, np.arange(9), channels=1, threads=2)
    assert indices.tolist() == list(range(9))
    assert named == [False] * 9
    named.clear()
    sample(source, count=9, seed=0, threads=2)
    assert named
    assert all(named)  # a speed without it would promise too much


def test_images_that_are_no_files_are_not_examined(tmp_path: Path) -> None:
    x_NHWC = np.zeros((20, 4, 6, 1), np.uint8)
    assert read(open_source((x_NHWC, np.arange(20) % 2)), tmp_path).examined == ()


def test_files_that_change_after_they_were_listed_are_set_aside(
    numbered: tuple[Path, Pixels], tmp_path: Path
) -> None:
    folder, x_NHWC = numbered
    source = open_source(folder)
    (folder / source.names[2]).write_bytes(encode_png(x_NHWC[3]))
    (folder / source.names[5]).unlink()
    os.mkfifo(folder / source.names[5])
    assert {r.index: r.reason for r in read(source, tmp_path).rejected} == {
        2: "it changed after the data were listed", 5: "it is no regular file"
    }  # fmt: skip


def test_parts_of_large_files_are_decoded_before_more_are_read(
    numbered: tuple[Path, Pixels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, x_NHWC = numbered
    monkeypatch.setattr(decode, "REQUEST", 500)
    assert np.array_equal(read(open_source(folder), tmp_path).pixels, x_NHWC)


@pytest.mark.slow
def test_a_hundred_thousand_tiny_files(tmp_path: Path) -> None:
    image = encode_png(np.full((1, 1, 1), 7, np.uint8))
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for index in range(50_000):
            (tmp_path / "data" / label / f"{index}.png").write_bytes(image)
    loaded = read(open_source(tmp_path / "data"), tmp_path, size=(1, 1))
    assert loaded.pixels.shape == (100_000, 1, 1, 1)
    assert (loaded.pixels == 7).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_many_sizes_get_one_size_and_the_channels_asked_for(
    tmp_path: Path, channels: int
) -> None:
    x = [np.full((4 + i, 6, 1 + 2 * (i % 2)), 40 + i, np.uint8) for i in range(6)]
    source = open_source([(image, i % 3) for i, image in enumerate(x)])
    loaded = read(source, tmp_path, channels=channels)
    assert loaded.pixels.shape == (6, 4, 6, channels)
    assert loaded.resized
    assert [image[0, 0, 0] for image in loaded.pixels] == [40 + i for i in range(6)]


def test_an_error_of_a_thread_is_not_swallowed(
    numbered: tuple[Path, Pixels], tmp_path: Path
) -> None:
    def broken(image: Pixels, size: tuple[int, int]) -> Pixels:
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        load(
            open_source(numbered[0]),
            channels=1,
            size=(5, 5),
            resize=broken,
            threads=2,
            memory_bound=10**9,
            folder=tmp_path,
        )


def test_work_in_parts_is_told_when_nobody_waits_for_it_any_more() -> None:
    over = threading.Event()

    def work(part: int) -> bool:
        if not part:
            raise KeyboardInterrupt  # as from the keyboard, while results are waited for
        return over.wait(60)

    with pytest.raises(KeyboardInterrupt):
        list(on_threads(work, range(2), 2, over=over))
    assert over.is_set()


def test_decoding_that_is_interrupted_ends_within_its_parts(
    numbered: tuple[Path, Pixels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, x_NHWC = numbered
    seen: list[Pixels] = []
    told: list[threading.Event] = []

    def watched(work: Any, items: Any, threads: int, *, over: threading.Event) -> Iterator[Any]:
        told.append(over)
        return on_threads(work, items, threads, over=over)

    monkeypatch.setattr(decode, "on_threads", watched)

    def interrupted(image: Pixels, size: tuple[int, int]) -> Pixels:
        if np.array_equal(image, x_NHWC[0]):
            raise KeyboardInterrupt
        seen.append(image)
        assert told[0].wait(300)  # so no part is done before it is over
        return resize(image, size)

    with pytest.raises(KeyboardInterrupt):
        load(
            open_source(folder),
            channels=1,
            size=(5, 5),
            resize=interrupted,
            threads=2,
            memory_bound=10**9,
            folder=tmp_path,
        )
    assert len(seen) < decode.at_once(COUNT, 2)


def test_a_sample_depends_on_the_seed_alone(numbered: tuple[Path, Pixels]) -> None:
    source = open_source(numbered[0])
    one, same, other = (
        sample(source, count=50, seed=seed, threads=threads)
        for seed, threads in ((0, 1), (0, 2), (1, 2))
    )
    assert np.array_equal(one.images, same.images)
    assert not np.array_equal(one.images, other.images)
    assert one.shapes.tolist() == [[4, 6, 1]] * 50
    assert one.per_s > 0


def test_a_sample_has_each_class_in_its_proportion() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    x_NHW = np.broadcast_to(labels[:, None, None].astype(np.uint8), (1000, 2, 2))
    found = sample(open_source((x_NHW, labels)), count=100, seed=3, threads=2)
    counts = np.bincount([image[0, 0, 0] for image in found.images])
    assert np.abs(counts - [60, 30, 10]).max() <= 1


def test_a_sample_leaves_the_test_part_alone_and_lists_what_is_bad(tmp_path: Path) -> None:
    for part, value in (("train", 1), ("val", 2), ("test", 3)):
        for label in ("a", "b"):
            folder = tmp_path / "data" / part / label
            folder.mkdir(parents=True)
            for index in range(3):
                image = np.full((2, 2, 1), value, np.uint8)
                (folder / f"{index}.png").write_bytes(encode_png(image))
    (tmp_path / "data" / "train" / "a" / "0.png").write_bytes(b"")
    found = sample(open_source(tmp_path / "data"), count=100, seed=0, threads=2)
    assert sorted(int(image[0, 0, 0]) for image in found.images) == [1] * 5 + [2] * 6
    assert [(r.name, r.reason) for r in found.rejected] == [("train/a/0.png", "the file is empty")]


def test_large_photographs_neither_fill_the_memory_nor_take_all_of_the_time() -> None:
    x = [np.full((1200, 2400, 3), i, np.uint8) for i in range(40)]
    source = open_source([(image, i % 2) for i, image in enumerate(x)])
    found = sample(source, count=40, seed=0, threads=2)
    assert len(found.images) == 40
    assert found.shapes.tolist() == [[1200, 2400, 3]] * 40  # as they are
    assert {image.shape for image in found.images} == {(240, 480, 3)}
    few = sample(source, count=40, seed=0, threads=1, seconds=0.0)
    assert 0 < len(few.images) < 40
    assert np.array_equal(few.images, found.images[: len(few.images)])


def jpegs(folder: Path, *, count: int, width: int, height: int) -> Source:
    chance = np.random.default_rng(0)
    for index in range(count):
        coarse = chance.integers(0, 256, (6, 9, 3), np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        path = folder / "data" / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    return open_source(folder / "data")


@pytest.mark.parametrize("threads", [1, 2])
def test_some_large_images_are_read_as_for_the_test(tmp_path: Path, threads: int) -> None:
    """For which they are decoded whole, though less is enough for the training."""
    source, seen = jpegs(tmp_path, count=14, width=1500, height=1100), []
    found = sample(
        source,
        count=14,
        seed=0,
        threads=threads,
        again=lambda image: seen.append(image.shape),
    )
    assert seen == [(1100, 1500, 3)] * 12
    assert found.again_per_s is not None
    assert found.again_per_s > 0
    assert sample(source, count=4, seed=0, threads=threads).again_per_s is None
    assert len(found.images) == 14


def test_small_images_are_read_once(numbered: tuple[Path, Pixels]) -> None:
    again: list[Pixels] = []
    found = sample(open_source(numbered[0]), count=20, seed=0, threads=1, again=again.append)
    assert found.again_per_s is None
    assert not again


def test_large_jpegs_are_decoded_at_a_fraction_of_their_size(tmp_path: Path) -> None:
    source = jpegs(tmp_path, count=6, width=900, height=600)
    looked = sample(source, count=6, seed=0, threads=1)
    assert looked.shapes.tolist() == [[600, 900, 3]] * 6  # as they are
    resized: list[tuple[int, ...]] = []

    def area(image: Pixels, size: tuple[int, int]) -> Pixels:
        resized.append(image.shape)
        return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def loaded(size: tuple[int, int]) -> Loaded:
        return load(
            source, channels=3, size=size, resize=area, threads=1, memory_bound=10**9,
            folder=tmp_path,
        )  # fmt: skip

    small = loaded((30, 45))
    assert set(resized) == {(150, 225, 3)}
    assert small.shapes.tolist() == [[600, 900]] * 6
    assert small.resized
    resized.clear()
    for index in range(6):
        whole = decode_image(source.read(index), 3)
        wanted = area(whole, (30, 45)).astype(int)
        assert np.abs(small.pixels[index].astype(int) - wanted).mean() < 1
    resized.clear()
    loaded((400, 600))
    assert set(resized) == {(600, 900, 3)}  # half of it would not be enough
