"""Tests of `tunesmith.core.headers`."""

import re
import struct
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core import headers
from tunesmith.core.headers import FORMATS, SUFFIXES, SUFFIXES_BY_FORMAT, Header, read_header

SIGNATURES = [
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0",
    b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L", b"P6\n",
]  # fmt: skip
PROGRESSIVE = b"\xff\xd8\xff\xc2\0\x11\x08\0\x01\0\x01\x01" + bytes(9) + b"\xff\xda\0\x08\x01"
Encoding = tuple[str, str, list[int]]  # the suffix, the format's name, parameters of OpenCV
ENCODINGS: list[Encoding] = [
    (".png", "PNG", []),
    (".jpg", "JPEG", []),
    (".jpg", "JPEG", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    (".gif", "GIF", []),
    (".bmp", "BMP", []),
    (".tiff", "TIFF", []),
    (".webp", "WebP", [cv2.IMWRITE_WEBP_QUALITY, 50]),
    (".webp", "WebP", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    (".ppm", "PNM", []),
    (".ppm", "PNM", [cv2.IMWRITE_PXM_BINARY, 0]),
]


def encode(encoding: Encoding, height: int, width: int, *, channels: int = 3) -> bytes:
    image = np.full((height, width, channels), 77, np.uint8)
    return cv2.imencode(encoding[0], image, encoding[2])[1].tobytes()


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(st.integers(1, 400), st.integers(1, 400))
def test_sizes_are_read_of_each_format(encoding: Encoding, height: int, width: int) -> None:
    found = read_header(encode(encoding, height, width))
    assert found
    assert replace(found, scans=1) == Header(encoding[1], width, height, channels=3, bits=8)
    assert found.scans == 1 or encoding[2] == [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels", "bits"),
    [
        (".png", np.uint8, 1, 8),
        (".png", np.uint16, 4, 16),
        (".webp", np.uint8, 4, 8),
        (".bmp", np.uint8, 4, 8),
        (".tiff", np.uint16, 3, 16),
        (".tiff", np.float32, 1, 32),
        (".pgm", np.uint16, 1, 16),
        (".pbm", np.uint8, 1, 1),
    ],
)
def test_channels_and_bits_are_read(suffix: str, dtype: type, channels: int, bits: int) -> None:
    header = read_header(cv2.imencode(suffix, np.zeros((5, 9, channels), dtype))[1].tobytes())
    assert header
    assert (header.width, header.height, header.channels, header.bits) == (9, 5, channels, bits)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 640, 480, 1, 24), (640, 480)),
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 640, -480, 1, 24), (640, 480)),
        (b"P2 # a comment\n#another 1 2\n\t640#\n480 255", (640, 480)),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\x01\xdf\x01\0", (131_072, 480)),
        (b"\xff\xd8\xff\xff\xff\xe0\0\x02junk\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03", (640, 480)),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\0",
            (2**32 - 1,) * 2,
        ),
    ],
)
def test_rarer_headers_are_read(data: bytes, size: tuple[int, int]) -> None:
    header = read_header(data)
    assert header
    assert (header.width, header.height) == size
    assert header.pixels == size[0] * size[1]


def test_scans_are_counted() -> None:
    data = encode((".jpg", "JPEG", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), 30, 40)
    first = read_header(data)
    assert first
    assert first.scans == data.count(b"\xff\xda") > 1
    last = data[data.rindex(b"\xff\xda") : -2]
    more = read_header(data[:-2] + 90 * last + b"\xff\xd9" + data)  # another image lies behind
    assert more
    assert more.scans == first.scans + 90


def test_no_segment_hides_scans() -> None:
    data = encode((".jpg", "JPEG", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), 30, 40)
    scans = data.count(b"\xff\xda")
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    for hidden in (b"\xff\xd9", b"\xff\xda"):  # neither an end nor a scan, but a comment
        found = read_header(data[:second] + b"\xff\xfe\0\x04" + hidden + data[second:])
        assert found
        assert found.scans == scans
    for place in (2, second):  # no program writes as many: the file is taken for damaged
        found = read_header(data[:place] + 10_000 * b"\xff\xfe\0\x02" + data[place:])
        assert found
        assert found.pixels == 0


def test_restarts_are_no_segments() -> None:
    encoding = (".jpg", "JPEG", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1])
    data = encode(encoding, 800, 800)
    found = read_header(data)
    assert found
    assert len(re.findall(rb"\xff[\xd0-\xd7]", data)) > 10_000
    assert found.scans == data.count(b"\xff\xda")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_header_that_is_cut_off_claims_nothing(encoding: Encoding) -> None:
    whole = encode(encoding, 30, 40)
    for cut in range(len(whole)):
        header = read_header(whole[:cut])
        assert header is None or header.pixels in {0, 1200}


@pytest.mark.parametrize(
    "data", [b"", b"a text", b"%PDF-1.7", b"PK\x03\x04", b"RIFF\0\0\0\0WAVE", b"P6x"]
)
def test_what_is_no_image_has_no_header(data: bytes) -> None:
    assert read_header(data) is None


@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_any_bytes_have_a_header_or_none(begin: bytes, data: bytes) -> None:
    header = read_header(begin + data)
    assert header
    assert header.pixels >= 0


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 10**7,
        b"\xff\xd8\xff" + b"\x00" * 10**7,
        b"\xff\xd8" + b"\xff\xe1\x00\x02" * 10**6,
        PROGRESSIVE + b"\xff\xc4\x00\x02" * 10**6,
        PROGRESSIVE + b"\xff\x00" * 10**6 + b"\xff\xd0" * 10**6,
        b"P6\n" + b"#\n" * 10**6,
        b"P6\n" + b"#" * 10**7,
        b"P6 " + b"9" * 10**7,
        b"II*\0\x08\0\0\0\xff\xff" + b"\x01" * 10**7,
    ],
)
def test_no_file_takes_long(lines_of: Callable[[Callable[[], object]], int], data: bytes) -> None:
    assert read_header(data)
    assert lines_of(lambda: read_header(data)) < 20 * headers.MOST_SEGMENTS


@pytest.mark.parametrize("gap", [b"#\n", b" ", b"#"])
def test_a_header_of_text_is_looked_for_where_a_file_begins(gap: bytes) -> None:
    begin, end = b"P6 640 ", b"\n480 255\n"
    for size in (100, headers.PNM_HEADER):
        header = read_header(begin + (size * gap)[:size] + end)
        assert header
        assert (header.height == 480) is (size == 100)


def test_each_format_has_its_own_suffixes() -> None:
    assert SUFFIXES_BY_FORMAT.keys() == {name for _, name, _ in FORMATS}
    assert len(set(SUFFIXES)) == len(SUFFIXES)
    assert all(suffix in SUFFIXES_BY_FORMAT[name] for suffix, name, _ in ENCODINGS)
