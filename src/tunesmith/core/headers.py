"""Read the header of an image file: its format by content, size, channels and bit depth.

Only the header is read, so that an oversized image can be refused before it is decoded.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from tunesmith.core.tiff import directory

RGB, RGBA = 3, 4
PNG_CHANNELS = {0: 1, 2: RGB, 3: RGB, 4: 2, 6: RGBA}  # by color type (PNG 3, 11.2.1)
# Start of frame: height, width and components follow; C4, C8 and CC are others (T.81, B.1).
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length; those below C0 are reserved, and decoders stop or pass over them.
JPEG_BARE = frozenset({*range(0x01, 0xC0), *range(0xD0, 0xD9)})
JPEG_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # other than restarts within a scan
MOST_SEGMENTS = 10_000  # in a JPEG
OLD_BMP = 12  # bytes of the OS/2 1.x header, in which width and height have two bytes each
NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})(?=[\s#])"  # in a PNM header, after space or comments
PNM_HEADER = 4096  # bytes of that header, at most
PNM = re.compile(rb"P([1-6])" + NUMBER + NUMBER)
PNM_LARGEST = re.compile(NUMBER)
Claims = tuple[int, ...]  # width, height, channels, bits, and scans if there are several


@final
@dataclass(frozen=True)
class Header:
    """What an image file's header claims.

    Attributes:
        format: PNG, JPEG, GIF, BMP, TIFF, WebP or PNM.
        width: Width in pixels; 0 if the header is truncated or invalid.
        height: Height in pixels; 0 if the header is truncated or invalid.
        channels: Number of color and alpha channels; of a palette image, those of its palette.
        bits: Bits per value.
        scans: Passes over the whole image that decoding takes; more than one in some JPEGs.
    """

    format: str
    width: int
    height: int
    channels: int
    bits: int
    scans: int = 1

    @property
    def pixels(self) -> int:
        """Number of pixels; 0 if the size cannot be read."""
        return self.width * self.height


def read_header(data: bytes) -> Header | None:
    r"""Read a file's header; None if it starts like none of the supported formats.

    Example:
        >>> read_header(b"P5 640 480 255\n...")
        Header(format='PNM', width=640, height=480, channels=1, bits=8, scans=1)
        >>> read_header(b"%PDF-1.7")

    """
    found = next(((name, read) for begin, name, read in FORMATS if data.startswith(begin)), None)
    if found is None or (found[0] == "WebP" and data[8:12] != b"WEBP"):
        return None
    name, read = found
    try:
        return Header(name, *read(data))
    except (struct.error, IndexError):
        return Header(name, *NOTHING)


def _png(data: bytes) -> Claims:
    kind, width, height, bits, color = struct.unpack_from(">4sIIBB", data, 12)
    return (width, height, PNG_CHANNELS.get(color, 0), bits) if kind == b"IHDR" else NOTHING


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield a JPEG's segments up to the end of the image: marker, begin and end of the content.

    As decoders do, what lies between two segments is searched for the next marker: it is the
    compressed data of a scan, which contain none but restarts. The content of a segment is not.

    Raises:
        IndexError: There are more than `MOST_SEGMENTS`.
    """
    place = 2
    for _ in range(MOST_SEGMENTS):
        found = JPEG_MARKER.search(data, place)
        if found is None:
            return
        marker, place = data[found.end() - 1], found.end()
        if marker == JPEG_END:
            yield marker, place, place
            return
        if marker not in JPEG_BARE:
            begin, place = place + 2, place + int.from_bytes(data[place : place + 2])
            yield marker, begin, place
    raise IndexError(f"more than {MOST_SEGMENTS:,} segments")


def _jpeg(data: bytes) -> Claims:
    claims, is_one, scans = NOTHING, True, 0
    for marker, begin, _ in jpeg_segments(data):
        if marker in JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, begin)
            claims, is_one = (width, height, channels, bits), marker in JPEG_SEQUENTIAL
        elif marker == JPEG_SCAN:
            scans += 1
            if is_one and data[begin] == claims[2]:
                break
    return *claims, max(1, scans)


def _gif(data: bytes) -> Claims:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height, RGB, 8


def _bmp(data: bytes) -> Claims:
    is_old = struct.unpack_from("<I", data, 14)[0] == OLD_BMP
    width, height, _, bits = struct.unpack_from("<HHHH" if is_old else "<iiHH", data, 18)
    channels = RGBA if bits == 32 else RGB  # noqa: PLR2004 (bits of four bytes)
    return abs(width), abs(height), channels, min(bits, 8)  # a negative height: top-down rows


def _tiff(data: bytes) -> Claims:
    first = directory(data)
    return first.number(256), first.number(257), first.number(277, 1), first.number(258, 1)


def _webp(data: bytes) -> Claims:
    kind = data[12:16]
    if kind == b"VP8X":
        flags, low_w, high_w, low_h, high_h = struct.unpack_from("<B3xHBHB", data, 20)
        width, height = 1 + low_w + (high_w << 16), 1 + low_h + (high_h << 16)
        return width, height, RGBA if flags & 0x10 else RGB, 8
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        channels = RGBA if packed >> 28 & 1 else RGB
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), channels, 8
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF, RGB, 8


def _pnm(data: bytes) -> Claims:
    found = PNM.match(data, 0, PNM_HEADER)
    if not found:
        return NOTHING
    kind, width, height = map(int, found.groups())
    channels = RGB if kind in {3, 6} else 1
    if kind in {1, 4}:
        return width, height, channels, 1
    largest = PNM_LARGEST.match(data, found.end(), PNM_HEADER)
    return width, height, channels, int(largest[1]).bit_length() if largest else 0


NOTHING = 0, 0, 0, 0
FORMATS = (
    (b"\x89PNG", "PNG", _png),
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"GIF8", "GIF", _gif),
    (b"BM", "BMP", _bmp),
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
    (b"II+\0", "TIFF", _tiff),
    (b"MM\0+", "TIFF", _tiff),
    (b"RIFF", "WebP", _webp),
    *((b"P%d%c" % (kind, space), "PNM", _pnm) for kind in range(1, 7) for space in b" \n\r\t"),
)
# Endings of file names, in lower case.
SUFFIXES_BY_FORMAT = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp", ".dib"),
    "WebP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PNM": (".pbm", ".pgm", ".ppm", ".pnm"),
}
SUFFIXES = tuple(suffix for some in SUFFIXES_BY_FORMAT.values() for suffix in some)
