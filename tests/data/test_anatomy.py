"""Tests of `tunesmith.data.anatomy`."""

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.headers import MOST_SEGMENTS, Header, read_header
from tunesmith.data import anatomy
from tunesmith.data.anatomy import MOST_KINDS, Anatomy, dissect

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
# OpenCV's parameters by a suffix; several of these write what only they do.
ENCODINGS: list[tuple[str, list[int]]] = [
    (".png", []),
    (".jpg", []),
    (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]),
    (".gif", []),
    (".bmp", []),
    (".webp", [cv2.IMWRITE_WEBP_QUALITY, 50]),
    (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    (".ppm", []),
    (".pgm", []),
    (".pbm", []),
]


def encode(suffix: str, parameters: list[int] | None = None) -> bytes:
    image = IMAGE if suffix not in {".pgm", ".pbm"} else IMAGE[..., :1]
    return cv2.imencode(suffix, image, parameters or [])[1].tobytes()


def look(data: bytes) -> Anatomy:
    header = read_header(data)
    assert header
    return dissect(data, header)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes, *, count: int = 1) -> bytes:
    png = encode(".png")
    return png[:33] + chunk(kind, data) * count + png[33:]


def with_segment(marker: int, data: bytes) -> bytes:
    jpeg = encode(".jpg")
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data + jpeg[2:]


@pytest.mark.parametrize(("suffix", "parameters"), ENCODINGS)
@given(st.binary(max_size=50))
def test_the_end_is_found_whatever_lies_behind(
    suffix: str, parameters: list[int], rest: bytes
) -> None:
    data = encode(suffix, parameters)
    found = look(data + rest)
    assert found.end == len(data)
    assert found.frames == 1
    assert len(b"".join(found.asides)) < 700  # headers and tables, but no pixels


def test_some_formats_do_not_mark_their_end() -> None:
    tiff, text = encode(".tiff"), b"P3 1 1 255 1 2 3"
    assert look(tiff) == Anatomy(end=None, exif=tiff, asides=(tiff,))
    assert look(text) == Anatomy(end=None, asides=(text,))


@pytest.mark.parametrize(("suffix", "parameters"), ENCODINGS)
def test_of_a_file_that_is_cut_off_all_is_looked_at(suffix: str, parameters: list[int]) -> None:
    data = encode(suffix, parameters)
    for size in range(len(data) - 2):
        header = read_header(data[:size])
        found = header and dissect(data[:size], header)
        assert not found or found.asides == (data[:size],) or found.end == len(data)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp"])
def test_frames_are_counted(suffix: str, count: int) -> None:
    animation = cv2.Animation()
    animation.frames = [np.roll(IMAGE, i, axis=1) for i in range(count)]
    animation.durations = [100] * count
    data = cv2.imencodeanimation(suffix, animation)[1].tobytes()
    assert look(data).frames == count
    assert look(data).end == len(data)


def test_several_pages_are_seen() -> None:
    pages = cv2.imencodemulti(".tiff", [IMAGE, IMAGE])[1].tobytes()
    assert look(pages).frames == 2


def test_kinds_of_metadata_are_named_as_the_formats_do() -> None:
    assert look(with_segment(0xE1, b"Exif\0\0II")).kinds == ("E0", "EXIF")
    assert look(with_segment(0xE1, b"http://ns.adobe.com/xap")).kinds == ("E0", "E1")
    assert look(with_segment(0xFE, b"hello")).kinds == ("E0", "FE")
    assert look(encode(".png")).kinds == look(encode(".webp")).kinds == ()
    assert look(with_chunk(b"tEXt", b"Title\0cat")).kinds == ("tEXt",)
    many = b"".join(chunk(f"x{number:03}".encode(), b"") for number in range(100))
    png = encode(".png")
    assert len(look(png[:33] + many + png[33:]).kinds) == MOST_KINDS


def test_metadata_are_found_where_each_format_keeps_them() -> None:
    exif = b"II*\0\x08\0\0\0\0\0"
    webp = encode(".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])
    chunks = webp[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
    assert look(with_chunk(b"eXIf", exif)).exif == exif
    assert look(with_segment(0xE1, b"Exif\0\0" + exif)).exif == exif
    assert look(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks).exif == exif


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(b"tEXt", b"Comment\0secret"),
        with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"secret")),
        with_chunk(b"iTXt", b"Comment\0\0\0en\0\0secret"),
        with_chunk(b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(b"secret")),
        with_chunk(b"heLo", b"secret"),
        with_segment(0xFE, b"secret"),
        encode(".jpg")[:-2] + b"\xff\xfe\0\x08secret\xff\xd9",
        encode(".jpg")[:-2] + b"\xff\xfe\0\x0a\xff\xd9secret\xff\xd9",
        encode(".gif")[:-1] + b"\x21\xfe\x06secret\0;",
        b"P5\n#secret\n1 1 255\n\0",
    ],
)
def test_texts_are_among_the_asides(data: bytes) -> None:
    found = look(data)
    assert found.end == len(data)
    assert any(b"secret" in aside for aside in found.asides)


def test_a_packed_text_is_unpacked_up_to_a_bound() -> None:
    found = look(with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8))))
    assert max(map(len, found.asides)) == 1_000_000
    assert look(with_chunk(b"zTXt", b"Comment\0\0nonsense")).asides[1] == b""


def test_many_packed_texts_share_the_bound() -> None:
    packed = b"Comment\0\0" + zlib.compress(bytes(300_000))
    found = look(with_chunk(b"zTXt", packed, count=50))
    sizes = [len(aside) for aside in found.asides]
    assert [size for size in sizes if size > 1000] == [300_000, 300_000, 300_000, 100_000]
    assert found.asides.count(packed) == 50
    assert found.end == len(with_chunk(b"zTXt", packed, count=50))


@given(st.sampled_from(ENCODINGS), st.data())
def test_damaged_files_are_followed_as_far_as_they_go(
    encoding: tuple[str, list[int]], data: st.DataObject
) -> None:
    file = bytearray(encode(*encoding))
    file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    if header := read_header(bytes(file)):
        assert dissect(bytes(file), header).frames >= 0


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("PNG", encode(".png")[:33] + b"\0\0\0\0heLo\0\0\0\0" * 10**6),
        ("GIF", encode(".gif")[:-1] + b"\x21\xfe\0" * 10**6),
        ("GIF", encode(".gif")[:-1] + b"\x21\xfe" + b"\x01\x01" * 10**6),
        ("WebP", b"RIFF\xff\xff\xff\x7fWEBP" + b"heLo\0\0\0\0" * 10**6),
        ("JPEG", b"\xff\xd8" + b"\xff\xe1\0\x02" * 10**6),
    ],
)
def test_no_file_takes_long(
    lines_of: Callable[[Callable[[], object]], int],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    data: bytes,
) -> None:
    monkeypatch.setattr(anatomy, "MOST_PARTS", MOST_SEGMENTS)  # fewer, since counting takes time
    header = Header(kind, width=1, height=1, channels=1, bits=8)
    assert dissect(data, header).asides == (data,)
    assert lines_of(lambda: dissect(data, header)) < 20 * MOST_SEGMENTS
