"""What lies in an image file beside the image: told to people, and no reason to refuse it.

Files are looked at, never decoded and never followed: nothing in them is run or unpacked, but the
texts of PNG files, up to a bound.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import final

from tunesmith.core.headers import Header, read_header
from tunesmith.core.tiff import directory
from tunesmith.screening.anatomy import Anatomy, dissect


class Kind(StrEnum):
    """What a finding is about."""

    HIDDEN = "hidden"
    """A program, a script, an archive or a document: what an image has no use for."""
    BEHIND = "behind"
    """Other bytes behind the image's end."""
    NAME = "name"
    """The name says another format than the content."""
    ANIMATED = "animated"
    """Only the first of several images is used."""
    CMYK = "cmyk"
    """The colors are those of a printer."""
    DEEP = "deep"
    """Values of more than 8 bits."""
    POSITION = "position"
    """Where on earth the picture was taken."""
    SERIAL = "serial"
    """Which camera or lens took it."""


@final
@dataclass(frozen=True)
class Finding:
    """One thing found: its kind, and a sentence's end that says what it is."""

    kind: Kind
    text: str


@final
@dataclass(frozen=True, kw_only=True)
class Examined:
    """An image file, looked at.

    Attributes:
        format: By content; None if it is no image.
        width: That the header claims, pixels; 0 if it is not to be read.
        height: The same.
        findings: What is worth telling.
    """

    format: str | None
    width: int
    height: int
    findings: tuple[Finding, ...]


SUFFIXES = {
    "PNG": {".png", ".apng"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "WebP": {".webp"},
    "PNM": {".pbm", ".pgm", ".ppm", ".pnm"},
}
ALL_SUFFIXES = frozenset().union(*SUFFIXES.values())
# Long enough that the numbers of a profile are not taken for one of them by chance; the pattern of
# all has no groups, so that its search is fast.
FOREIGN = {
    "a zip archive": rb"PK\x03\x04[\n-?]\0..[\0\x08\t\x0c\x0e]\0",
    "a RAR archive": rb"Rar!\x1a\x07[\0\x01]",
    "a 7-Zip archive": rb"7z\xbc\xaf\x27\x1c",
    "a PDF document": rb"%PDF-[12]\.",
    "a Linux program": rb"\x7fELF[\x01\x02][\x01\x02]\x01",
    "a Windows program": rb"!This program (?:cannot|must) be run",
    "a shell script": rb"#!/(?:usr/)?bin/",
    "a PHP script": rb"<\?(?i:php)\s",
    "a web page's script": rb"<(?i:script)[\s>]",
    "a web page": rb"<(?i:!doctype html|html)[\s>]",
}
ANY_FOREIGN = re.compile(b"|".join(FOREIGN.values()), re.DOTALL)
PADDING = b"\0\r\n "
POSITION_TEXT = b"GPSLatitude"  # in XMP
SERIAL_TEXT = b"SerialNumber"
GPS, CAMERA, INK = (
    0x8825,
    0x8769,
    262,
)  # tags: where positions are, where cameras tell of themselves
LATITUDE, SERIALS = 2, {0xA431, 0xA435}
CMYK_INK = 5
BYTE, DEEP = 8, 16  # bits


def examine(encoded: bytes, name: str = "") -> Examined:
    r"""Look at a file.

    Not found is what is encrypted, or packed within pixels or within camera makers' own notes; in
    TIFF files and text PNM files, whose end nothing marks, what has no known beginning.

    Args:
        encoded: The whole file.
        name: Its name, if it has one.

    Example:
        >>> examine(b"P5 2 1 255\n\0\0#!/bin/sh", "cat.png").findings[0].text
        "9 bytes behind the image's end: a shell script"

    """
    header = read_header(encoded)
    if header is None:
        return Examined(format=None, width=0, height=0, findings=())
    anatomy = dissect(encoded, header)
    findings = (
        *_foreign(encoded, anatomy),
        *_shape(header, anatomy, name),
        *_private(anatomy),
    )
    return Examined(
        format=header.format, width=header.width, height=header.height, findings=findings
    )


def _foreign(encoded: bytes, anatomy: Anatomy) -> Iterator[Finding]:
    """What is no part of the image."""
    for aside in anatomy.asides:
        if kind := _kind_of(aside):
            yield Finding(Kind.HIDDEN, f"{kind} lies among its metadata")
    if anatomy.end is None or anatomy.end >= len(encoded):
        return
    rest = encoded[anatomy.end :]
    words = f"{len(rest):,} bytes behind the image's end"
    if kind := _kind_of(rest):
        yield Finding(Kind.HIDDEN, f"{words}: {kind}")
    else:
        yield Finding(Kind.BEHIND, f"{words}: {_harmless(rest)}")


def _kind_of(data: bytes) -> str | None:
    """What a piece of a file holds that has no place in an image."""
    found = ANY_FOREIGN.search(data)
    if not found:
        return None
    return next(name for name, one in FOREIGN.items() if re.match(one, found[0], re.DOTALL))


def _harmless(rest: bytes) -> str:
    """What other bytes behind an image's end are."""
    content = rest.lstrip(PADDING)
    if not content:
        return "padding"
    if header := read_header(content):
        return f"another image, {header.format}"
    if b"ftyp" in content[:12]:
        return "a video, as some phones add one"
    return "of no known kind"


def _shape(header: Header, anatomy: Anatomy, name: str) -> Iterator[Finding]:
    """What decoding does not keep, and a name that is wrong."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in ALL_SUFFIXES - SUFFIXES[header.format]:
        yield Finding(Kind.NAME, f"its name ends in {suffix}, but it is a {header.format}")
    if anatomy.frames > 1:
        yield Finding(Kind.ANIMATED, f"the first of {anatomy.frames:,} frames is used")
    if _is_cmyk(header, anatomy):
        yield Finding(
            Kind.CMYK, "its colors are those of print (CMYK), and are converted without a profile"
        )
    if BYTE < header.bits < DEEP:
        yield Finding(Kind.DEEP, f"its values have {header.bits} bits, not 16: it is read too dark")
    if header.bits == DEEP:
        yield Finding(Kind.DEEP, "of its 16 bits a value, 8 are used")


def _is_cmyk(header: Header, anatomy: Anatomy) -> bool:
    if header.format == "JPEG":
        return header.channels == 4  # noqa: PLR2004 (cyan, magenta, yellow, black)
    return header.format == "TIFF" and directory(anatomy.exif).number(INK) == CMYK_INK


def _private(anatomy: Anatomy) -> Iterator[Finding]:
    """What metadata tell of people."""
    gps, camera = _tags(anatomy.exif, GPS), _tags(anatomy.exif, CAMERA)
    if LATITUDE in gps or any(POSITION_TEXT in aside for aside in anatomy.asides):
        yield Finding(Kind.POSITION, "its metadata say where it was taken")
    if not SERIALS.isdisjoint(camera) or any(SERIAL_TEXT in aside for aside in anatomy.asides):
        yield Finding(Kind.SERIAL, "its metadata hold a serial number of the camera or lens")


def _tags(exif: bytes, tag: int) -> Collection[int]:
    """The tags in the directory that a tag of the first one leads to."""
    place = directory(exif).number(tag) if exif else 0
    return directory(exif, place).entries if place else ()
