"""Tests of `tunesmith.data.examine`."""

import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tunesmith.core.headers import SUFFIXES_BY_FORMAT
from tunesmith.data.examine import Examined, Finding, Kind, examine

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
SUFFIXES = (".png", ".jpg", ".gif", ".bmp", ".webp", ".ppm")


def encode(suffix: str) -> bytes:
    return cv2.imencode(suffix, IMAGE)[1].tobytes()


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "a text")
    return content.getvalue()


FOREIGN = {
    "a zip archive": zipped(),
    "a RAR archive": b"Rar!\x1a\x07\x01\0...",
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "a PDF document": b"%PDF-1.7\n...",
    "a Linux program": b"\x7fELF\x02\x01\x01" + bytes(9),
    "a Windows program": b"MZ" + bytes(76) + b"!This program cannot be run in DOS mode.\r",
    "a shell script": b"#!/usr/bin/env python\n",
    "a PHP script": b"<?PHP system($_GET['c']); ?>",
    "a web page's script": b"<sCript>alert(1)</script>",
    "a web page": b"<!DOCTYPE html><p>",
}


def commented(text: bytes) -> bytes:
    jpeg = encode(".jpg")
    return jpeg[:2] + struct.pack(">BBH", 0xFF, 0xFE, len(text) + 2) + text + jpeg[2:]


def chunked(kind: bytes, data: bytes) -> bytes:
    png = encode(".png")
    body = kind + data
    return (
        png[:33]
        + struct.pack(">I", len(data))
        + body
        + struct.pack(">I", zlib.crc32(body))
        + png[33:]
    )


def texts(data: bytes, name: str = "") -> dict[Kind, str]:
    return {finding.kind: finding.text for finding in examine(data, name).findings}


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tiff"])
def test_of_a_plain_image_nothing_is_told(suffix: str) -> None:
    found = examine(encode(suffix), f"a/1{suffix}")
    assert suffix in SUFFIXES_BY_FORMAT[found.format or ""]
    assert found.findings == ()


@given(
    hnp.arrays(np.uint8, (40, 40, 3)), st.sampled_from([".png", ".jpg", ".bmp", ".tiff", ".ppm"])
)
def test_pixels_are_never_taken_for_something_else(image: np.ndarray, suffix: str) -> None:
    assert examine(cv2.imencode(suffix, image)[1].tobytes()).findings == ()


def test_what_is_no_image_has_no_format() -> None:
    assert examine(b"a text", "a.png") == Examined(format=None, findings=())


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_lies_behind_an_image_is_named(suffix: str, kind: str) -> None:
    rest = b"\0\0" + FOREIGN[kind]
    assert examine(encode(suffix) + rest).findings == (
        Finding(Kind.HIDDEN, f"{len(rest):,} bytes behind the image's end: {kind}"),
    )


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_lies_among_the_metadata_is_named(kind: str) -> None:
    content = FOREIGN[kind]
    packed = b"Comment\0\0" + zlib.compress(content)
    for data in (
        commented(b"hello " + content),
        chunked(b"tEXt", b"Comment\0" + content),
        chunked(b"zTXt", packed),
        encode(".gif")[:-1] + b"\x21\xfe" + bytes([len(content)]) + content + b"\0;",
    ):
        assert Finding(Kind.HIDDEN, f"{kind} lies among its metadata") in examine(data).findings


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (bytes(1000), "1,000 bytes behind the image's end: padding"),
        (b"\r\n", "2 bytes behind the image's end: padding"),
        (encode(".jpg"), "bytes behind the image's end: another image, JPEG"),
        (b"\0\0\0\x18ftypmp42", "bytes behind the image's end: a video, as some phones add one"),
        (b"SEFH", "4 bytes behind the image's end: of no known kind"),
    ],
)
def test_harmless_bytes_behind_an_image_are_told_too(rest: bytes, text: str) -> None:
    assert texts(encode(".jpg") + rest)[Kind.BEHIND].endswith(text)


@pytest.mark.parametrize(
    "text",
    [
        b"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>",
        b"<rdf:li xml:lang='x-default'>A description &lt;script&gt;</rdf:li>",
        b"<dc:title>PK and #!shebang, the MZ years; 100%PDF</dc:title>",
        b"<?xml version='1.0'?><svg/>",
    ],
)
def test_ordinary_metadata_raise_no_alarm(text: bytes) -> None:
    assert examine(commented(text)).findings == ()


def test_a_name_that_contradicts_the_content_is_told() -> None:
    assert texts(encode(".jpg"), "a/1.PNG")[Kind.NAME] == "its name ends in .png, but it is a JPEG"
    for name in ("a/1.jpeg", "1.jpg", "#3", "1", "1.jpg.part", ""):
        assert examine(encode(".jpg"), name).findings == ()


def test_animations_are_told() -> None:
    animation = cv2.Animation()
    animation.frames, animation.durations = [IMAGE, IMAGE[::-1].copy(), IMAGE], [100] * 3
    data = cv2.imencodeanimation(".png", animation)[1].tobytes()
    assert texts(data) == {Kind.ANIMATED: "the first of 3 frames is used"}


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_colors_of_print_are_told(format_: str) -> None:
    content = io.BytesIO()
    Image.fromarray(IMAGE).convert("CMYK").save(content, format_)
    assert "(CMYK)" in texts(content.getvalue())[Kind.CMYK]


def test_deep_values_are_told() -> None:
    deep = cv2.imencode(".png", IMAGE.astype(np.uint16))[1].tobytes()
    assert texts(deep) == {Kind.DEEP: "of its 16 bits a value, 8 are used"}
    assert "10 bits, not 16" in texts(b"P5 1 1 1023\n\0\0")[Kind.DEEP]


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_what_tells_of_people_is_told(format_: str) -> None:
    image, exif, content = Image.fromarray(IMAGE), Image.Exif(), io.BytesIO()
    exif[0x010F] = "a maker"
    image.save(content, format_, exif=exif)
    assert texts(content.getvalue()) == {}
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    exif.get_ifd(0x8769)[0xA431] = "123456"
    content = io.BytesIO()
    image.save(content, format_, exif=exif)
    assert texts(content.getvalue()) == {
        Kind.POSITION: "its metadata say where it was taken",
        Kind.SERIAL: "its metadata hold a serial number of the camera or lens",
    }


def test_what_xmp_tells_of_people_is_told() -> None:
    assert texts(commented(b"<exif:GPSLatitude>52,30.0N")).keys() == {Kind.POSITION}
    assert texts(commented(b"<rdf:Description aux:SerialNumber='1'")).keys() == {Kind.SERIAL}


def test_pieces_that_hold_the_same_are_told_once() -> None:
    data = encode(".gif")[:-1] + b"\x21\xfe\x08<script>\0" * 50 + b";"
    assert examine(data).findings == (
        Finding(Kind.HIDDEN, "a web page's script lies among its metadata"),
    )


@pytest.mark.parametrize("rest", [b"", b"\0", b"#!/bin/sh"])
def test_what_was_found_can_be_sent_and_stored(rest: bytes) -> None:
    found = examine(encode(".jpg") + rest, "a.png")
    assert len(found.findings) == 1 + bool(rest)
    assert Examined.from_list(json.loads(json.dumps(found.as_list()))) == found
    assert Examined.from_list(json.loads(json.dumps(examine(b"").as_list()))) == examine(b"")


def test_files_are_examined_without_torch() -> None:
    code = "import sys, tunesmith.data.examine; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
