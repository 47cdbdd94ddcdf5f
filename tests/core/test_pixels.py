"""Tests of `tunesmith.core.pixels`."""

import os
import struct
import subprocess
import sys
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.conftest import encode_png

from tunesmith.core import pixels
from tunesmith.core.pixels import (
    NO_MEMORY,
    Undecodable,
    decode,
    decode_or_say,
    full_size,
    recolor,
    shrink,
)

Pixels = NDArray[np.uint8]
CHANNELS = (1, 3, 4)

sides = st.integers(1, 9)
images = st.tuples(sides, sides, st.sampled_from(CHANNELS)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape)
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"


def marked_jpeg(image: Pixels, orientation: int) -> bytes:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    mark = b"Exif\0\0" + exif(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(mark) + 2) + mark + data[2:]


def marked_png(image: Pixels, orientation: int) -> bytes:
    data = encode_png(image)
    return data[:33] + chunk(b"eXIf", exif(orientation)) + data[33:]


def claiming_png(side: int, *, bits: int = 8, color: int = 0, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, bits, color, 0, 0, interlaced)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def texted_png(image: Pixels, texts: int) -> bytes:
    data = encode_png(image)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a text"))
    return data[:33] + text * texts + data[33:]


def huge_jpeg() -> bytes:
    data = cv2.imencode(".jpg", np.eye(8, dtype=np.uint8))[1].tobytes()
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", 60_000, 60_000) + data[frame + 9 :]


def many_scans(count: int, side: int) -> bytes:
    image, progressive = np.eye(40, dtype=np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", image, progressive)[1].tobytes()
    last = data[data.rindex(b"\xff\xda") : -2]
    data = data[:-2] + last * (count - data.count(b"\xff\xda")) + data[-2:]
    frame = data.index(b"\xff\xc2")
    return data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]


@given(images)
def test_png_gives_back_its_pixels(x_HWC: Pixels) -> None:
    assert np.array_equal(decode(encode_png(x_HWC)), x_HWC)


@given(images, st.sampled_from(CHANNELS))
def test_channels_asked_for_are_given_from_files_and_from_pixels(x_HWC: Pixels, c: int) -> None:
    from_file, from_pixels = decode(encode_png(x_HWC), c), decode(x_HWC, c)
    assert from_file.shape == from_pixels.shape == (*x_HWC.shape[:2], c)
    difference = from_file.astype(int) - from_pixels
    assert np.abs(difference).max() <= 1  # gray of a color is rounded in more than one way


@given(images)
def test_more_channels_lose_nothing(x_HWC: Pixels) -> None:
    if x_HWC.shape[2] == 1:
        assert np.array_equal(recolor(recolor(x_HWC, 3), 1), x_HWC)
    if x_HWC.shape[2] != 4:
        more = recolor(x_HWC, 4)
        assert np.array_equal(recolor(more, 3), recolor(x_HWC, 3))
        assert (more[..., 3] == 255).all()


def test_colors_come_as_red_green_blue() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    data = cv2.imencode(".png", red)[1].tobytes()
    for channels in (None, 3, 4):
        assert decode(data, channels)[0, 0, :3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_sixteen_bits_lose_the_lower_eight(suffix: str, channels: int | None) -> None:
    deep = np.array([[0x00FF, 0x01FF], [0x8000, 0xFFFE]], np.uint16)
    data = cv2.imencode(suffix, deep)[1].tobytes()
    assert decode(data, channels)[..., 0].tolist() == [[0, 1], [128, 255]]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("channels", [None, *CHANNELS])
def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(
    orientation: int, channels: int | None
) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    image = np.asarray(cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC), np.uint8)
    data = marked_jpeg(image, orientation)
    whole = decode(data, channels)
    for enough, divisor in ((320, 1), (161, 1), (160, 2), (100, 2), (80, 4), (40, 8), (1, 8)):
        found = decode(data, channels, enough=enough)
        assert found.shape == (whole.shape[0] // divisor, whole.shape[1] // divisor, whole.shape[2])
        assert full_size(data, found) == whole.shape[:2]
        small = cv2.resize(whole, found.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - small.reshape(found.shape)).mean() < 4


def test_files_of_other_kinds_are_decoded_whole() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    data = encode_png(image)
    assert np.array_equal(decode(data, enough=4), image)
    assert full_size(data, image) == (64, 48)
    assert np.array_equal(decode(image, enough=4), image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_a_camera_mark_is_obeyed_alike_for_all_channels(
    orientation: int, channels: int | None
) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :8], image[8:, 24:] = 250, 120
    upright = {  # of Exif 2.3, 4.6.4 A
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.swapaxes(0, 1),
        6: np.rot90(image, -1),
        7: image[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(image),
    }
    for data in (marked_jpeg(image, orientation), marked_png(image, orientation)):
        found = decode(data, channels)[..., 0].astype(int)
        assert found.shape == upright[orientation].shape[:2]
        assert np.abs(found - upright[orientation][..., 0]).max() <= 3


def test_an_image_with_alpha_is_turned_too() -> None:
    image = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(decode(marked_png(image, 6)), np.rot90(image, -1))


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"a text file named .jpg", "it is no image"),
        (claiming_png(50_000), "it claims 2,500,000,000 pixels, more than 40,000,000"),
        (huge_jpeg(), "it claims 3,600,000,000 pixels, more than 40,000,000"),
        (many_scans(74, 40), "it claims 74 scans, more than 64"),
        (many_scans(24, 6000), "its 24 scans pass over 864,000,000 pixels, more than 800,000,000"),
        (claiming_png(5000, bits=16, color=6), "writes 200,000,000 bytes, more than 160,000,000"),
        (claiming_png(5000, bits=16, color=4), "decoding it writes 200,000,000 bytes"),
        (claiming_png(5200, bits=16, color=2), "decoding it writes 162,240,000 bytes"),
        (claiming_png(5000, color=6, interlaced=True), "decoding it writes 200,000,000 bytes"),
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 9000, 9000, 1, 24), "it claims 81,000,000"),
        (b"GIF89a" + struct.pack("<HH", 9000, 9000), "it claims 81,000,000 pixels"),
        (b"P6 9000 9000 255\n", "it claims 81,000,000 pixels"),
        (b"BM" + bytes(40), "the BMP is damaged"),
        (encode_png(np.zeros((64, 64, 3), np.uint8))[:-20], "the PNG is damaged"),
        (encode_png(np.zeros((64, 64, 3), np.uint8))[:20], "the PNG is damaged"),
        (cv2.imencode(".jpg", np.eye(64, dtype=np.uint8))[1].tobytes()[:-90], "JPEG is damaged"),
        (cv2.imencode(".bmp", np.eye(64, dtype=np.uint8))[1].tobytes()[:-90], "BMP is damaged"),
        (cv2.imencode(".webp", np.eye(64, dtype=np.uint8))[1].tobytes()[:-40], "WebP is damaged"),
    ],
)
def test_what_is_no_whole_image_is_refused_in_words(
    data: bytes, reason: str, channels: int | None
) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(data, channels)


@pytest.mark.parametrize(
    "data",
    [
        claiming_png(6324),  # a blank page, or a mask
        claiming_png(6324, bits=4, color=3),
        claiming_png(6324, bits=16),
        claiming_png(6324, color=6),
        claiming_png(6324, interlaced=True),
        claiming_png(5100, bits=16, color=2),
        claiming_png(5100, color=2, interlaced=True),
        many_scans(18, 6324),
        many_scans(64, 3000),
    ],
)
def test_large_images_of_usual_kinds_are_decoded(data: bytes) -> None:
    assert pixels._accepted(data).pixels >= 9_000_000


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
def test_values_of_sixteen_bits_count_twice(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MOST_BYTES", 10 * 10 * 3)
    fitting: list[NDArray[Any]] = [np.zeros((10, 10, 3), np.uint8), np.zeros((10, 5, 3), np.uint16)]
    for image in fitting:
        assert decode(cv2.imencode(suffix, image)[1].tobytes()).size == image.size
    with pytest.raises(Undecodable, match=r"writes 600 bytes, more than 300: save it with 8 bits"):
        decode(cv2.imencode(suffix, np.zeros((10, 10, 3), np.uint16))[1].tobytes())


def test_a_png_may_hold_some_texts_and_a_small_one_any_number() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    small = noise[:50, :50]
    assert np.array_equal(decode(texted_png(noise, 20)), noise)
    assert np.array_equal(decode(texted_png(small, 100)), small)
    plain, whole = chunk(b"iTXt", b"Comment\0\0\0\0\0a text"), encode_png(noise)
    assert np.array_equal(decode(whole[:33] + plain * 50 + whole[33:]), noise)
    with pytest.raises(
        Undecodable, match="21 packed texts, more than 20: save it without its meta"
    ):
        decode(texted_png(noise, 21))


def test_a_memory_that_does_not_do_is_said() -> None:
    code = (
        "import resource\n"
        "from tunesmith.core.pixels import *\n"
        "data = cv2.imencode('.png', np.zeros((5000, 5000), np.uint8))[1].tobytes()\n"
        "has = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (has + 10**7,) * 2)\n"
        "try: decode(data, 3)\n"
        "except Undecodable as reason: print(reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "decoding it needs more memory than there is\n"


def test_the_most_pixels_are_set_by_the_environment() -> None:
    large, small = (encode_png(np.zeros((height, 10, 1), np.uint8)) for height in (11, 10))
    code = (
        "from tunesmith.core.pixels import *\n"
        f"try: decode({large!r})\n"
        "except Undecodable as reason: print(reason)\n"
        f"print(decode({small!r}).shape)\n"
    )
    variables = os.environ | {"TUNESMITH_MOST_PIXELS": "100"}
    variables.pop("OPENCV_IO_MAX_IMAGE_PIXELS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=variables
    )
    assert done.stdout == "it claims 110 pixels, more than 100\n(10, 10, 1)\n"


@pytest.mark.parametrize("value", ["40M", "0", "-1", "", "1e7", "1" + 12 * "0"])
def test_a_number_of_pixels_that_is_none_is_told_on_the_command_line(value: str) -> None:
    variables = os.environ | {"TUNESMITH_MOST_PIXELS": value}
    command = [sys.executable, "-m", "tunesmith", "check", "digits"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=variables)
    assert done.returncode == 2
    assert done.stderr.startswith("tunesmith: The environment variable TUNESMITH_MOST_PIXELS is")
    assert f"but got {value!r}. Write all its digits" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("background", [0, 1, 2, 255])
def test_a_gif_may_have_any_background(background: int) -> None:
    table, image = b"\1\2\3\4\5\6", b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    data = b"GIF89a\1\0\1\0\x80" + bytes([background]) + b"\0" + table + image
    assert decode(data, 3).tolist() == [[[1, 2, 3]]]


def tiff(kind: int, x_HWC: NDArray[Any]) -> bytes:
    """A TIFF file of values of a kind: 1 unsigned, 2 signed, 3 floats."""
    height, width, channels = x_HWC.shape
    bits = struct.pack("<H", 8 * x_HWC.itemsize) * channels
    kinds = struct.pack("<H", kind) * channels
    end = 8 + 2 + 10 * 12 + 4  # of the directory; what is too long for an entry follows it
    entries = [
        (256, 1, width), (257, 1, height),
        (258, channels, end if len(bits) > 4 else int.from_bytes(bits, "little")),
        (259, 1, 1), (262, 1, 1 if channels == 1 else 2), (273, 1, end + 16), (277, 1, channels),
        (278, 1, height), (279, 1, x_HWC.nbytes),
        (339, channels, end + 8 if len(kinds) > 4 else int.from_bytes(kinds, "little")),
    ]  # fmt: skip
    packed = [
        struct.pack("<HHII", tag, 3 if tag in {258, 339} else 4, count, value)
        for tag, count, value in entries
    ]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(packed) + bytes(4)
    return b"".join([head, bits.ljust(8, b"\0"), kinds.ljust(8, b"\0"), x_HWC.tobytes()])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("wanted", [None, 1, 3])
@pytest.mark.parametrize(
    ("kind", "of", "told"),
    [
        (2, np.int8, "whole numbers with a sign of 8 bits"),
        (2, np.int16, "whole numbers with a sign of 16 bits"),
        (3, np.float16, "decimal numbers of 16 bits"),
        (3, np.float32, "decimal numbers of 32 bits"),
        (1, np.uint32, "whole numbers of 32 bits"),
    ],
)
def test_values_that_are_not_read_are_refused_in_words_whatever_the_channels(
    channels: int, wanted: int | None, kind: int, of: type[Any], told: str
) -> None:
    data = tiff(kind, np.ones((4, 4, channels), of))
    with pytest.raises(Undecodable, match=f"its values are {told}, not whole numbers of 8 or 16"):
        decode(data, wanted)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("of", [np.uint8, np.uint16])
def test_values_without_a_sign_are_read(channels: int, of: type[Any]) -> None:
    x_HWC = np.full((4, 4, channels), np.iinfo(of).max, of)
    assert np.array_equal(decode(tiff(1, x_HWC)), np.full((4, 4, channels), 255))


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"])
)
def test_any_bytes_are_an_image_or_refused(data: bytes, begin: bytes) -> None:
    try:
        assert decode(begin + data).ndim == 3
    except Undecodable:
        return


def test_a_damaged_file_leaves_the_terminal_alone() -> None:
    code = (
        "from tunesmith.core.pixels import *\n"
        "data = cv2.imencode('.png', np.zeros((64, 64, 3), np.uint8))[1].tobytes()\n"
        "for cut in (20, 60, -14):\n"
        "    try: decode(data[:cut])\n"
        "    except Undecodable: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


@given(images, st.integers(1, 6))
def test_a_picture_to_look_at_keeps_its_proportions(x_HWC: Pixels, side: int) -> None:
    small = shrink(x_HWC, side)
    assert max(small.shape[:2]) == min(side, max(x_HWC.shape[:2]))
    assert small.shape[2] == x_HWC.shape[2]


def test_why_a_file_is_not_decoded_can_be_said_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    image = np.full((2, 3, 1), 7, np.uint8)
    assert np.array_equal(decode_or_say(encode_png(image), None), image)
    assert str(decode_or_say(b"a text", None)).startswith("it is no image")
    monkeypatch.setattr(pixels, "_read", exhausted)
    assert decode_or_say(encode_png(image), None) == NO_MEMORY
