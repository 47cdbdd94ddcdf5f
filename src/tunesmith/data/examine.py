"""Find what an image file holds besides the image: worth reporting, but no reason to refuse it.

Files are inspected, not decoded: nothing in them is run or decompressed, except for the texts of
PNG files, up to a limit.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from posixpath import splitext
from typing import Any, Self, final

from tunesmith.core.headers import SUFFIXES, SUFFIXES_BY_FORMAT, Header, read_header
from tunesmith.core.tiff import directory
from tunesmith.data.anatomy import Anatomy, dissect


class Kind(StrEnum):
    """Kind of a finding."""

    HIDDEN = "hidden"
    """A program, script, archive or document, which does not belong in an image."""
    BEHIND = "behind"
    """Other bytes after the image's end."""
    NAME = "name"
    """The file name implies another format than the content."""
    ANIMATED = "animated"
    """Only the first of several images is used."""
    CMYK = "cmyk"
    """The colors are CMYK."""
    DEEP = "deep"
    """Values of more than 8 bits."""
    POSITION = "position"
    """GPS position at which the photo was taken."""
    SERIAL = "serial"
    """Serial number of the camera or lens."""


@final
@dataclass(frozen=True)
class Finding:
    """One finding: its kind, and a phrase that describes it."""

    kind: Kind
    text: str


@final
@dataclass(frozen=True, kw_only=True)
class Examined:
    """Result of examining a file; most files of a data set have equal ones.

    Attributes:
        format: Format by content; None if the file is not an image.
        findings: Findings to report.
        metadata: Kinds of metadata, by the format's own names.
    """

    format: str | None
    findings: tuple[Finding, ...]
    metadata: tuple[str, ...] = ()

    def as_list(self) -> list[Any]:
        """Return it as values of JSON: format, each finding's kind and text, and metadata."""
        # Not `asdict`, which copies deeply and takes ten times as long.
        findings = [[finding.kind, finding.text] for finding in self.findings]
        return [self.format, findings, [*self.metadata]]

    @classmethod
    def from_list(cls, values: Sequence[Any]) -> Self:
        """Restore it from what `as_list` returned."""
        format_, findings, metadata = values
        return cls(
            format=format_,
            findings=tuple(Finding(Kind(kind), text) for kind, text in findings),
            metadata=tuple(metadata),
        )


# Long enough not to match binary metadata, such as a color profile, by chance. The joint pattern
# has no groups, so that searching for it is fast.
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
)  # tags: GPS directory, Exif directory, photometric interpretation
LATITUDE, SERIALS = 2, {0xA431, 0xA435}
CMYK_INK = 5
BYTE, DEEP = 8, 16  # bits


def examine(encoded: bytes, name: str = "") -> Examined:
    r"""Examine a file.

    Not found is content that is encrypted, or hidden in pixels or in maker notes; and, in TIFF
    files and text PNM files, which have no end mark, content without a known signature.

    Args:
        encoded: Content of the whole file.
        name: Name of the file, if it has one.

    Example:
        >>> examine(b"P5 2 1 255\n\0\0#!/bin/sh", "cat.png").findings[0].text
        "9 bytes behind the image's end: a shell script"

    """
    header = read_header(encoded)
    if header is None:
        return Examined(format=None, findings=())
    anatomy = dissect(encoded, header)
    found = (*_foreign(encoded, anatomy), *_shape(header, anatomy, name), *_private(anatomy))
    # Each only once: a file may have thousands of pieces that give the same finding.
    findings = tuple(dict.fromkeys(found))
    return Examined(format=header.format, findings=findings, metadata=anatomy.kinds)


def _foreign(encoded: bytes, anatomy: Anatomy) -> Iterator[Finding]:
    """Find content that is not part of the image."""
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
    """Name the content of a piece of a file that does not belong in an image, if any."""
    found = ANY_FOREIGN.search(data)
    if not found:
        return None
    return next(name for name, one in FOREIGN.items() if re.match(one, found[0], re.DOTALL))


def _harmless(rest: bytes) -> str:
    """Describe other bytes after an image's end."""
    content = rest.lstrip(PADDING)
    if not content:
        return "padding"
    if header := read_header(content):
        return f"another image, {header.format}"
    if b"ftyp" in content[:12]:
        return "a video, as some phones add one"
    return "of no known kind"


def _shape(header: Header, anatomy: Anatomy, name: str) -> Iterator[Finding]:
    """Find what decoding does not preserve, and a wrong file name."""
    suffix = splitext(name)[1].lower()
    if suffix in SUFFIXES and suffix not in SUFFIXES_BY_FORMAT[header.format]:
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
    """Find personal data in the metadata."""
    gps, camera = _tags(anatomy.exif, GPS), _tags(anatomy.exif, CAMERA)
    if LATITUDE in gps or any(POSITION_TEXT in aside for aside in anatomy.asides):
        yield Finding(Kind.POSITION, "its metadata say where it was taken")
    if not SERIALS.isdisjoint(camera) or any(SERIAL_TEXT in aside for aside in anatomy.asides):
        yield Finding(Kind.SERIAL, "its metadata hold a serial number of the camera or lens")


def _tags(exif: bytes, tag: int) -> Collection[int]:
    """Tags in the directory to which a tag of the first directory points."""
    place = directory(exif).number(tag) if exif else 0
    return directory(exif, place).entries if place else ()
