"""Parse the structure of an image file: where the image ends, and what else the file holds.

Nothing is decoded, and nothing here raises: what cannot be parsed is reported as unknown.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import final

from tunesmith.core.headers import (
    JPEG_END,
    JPEG_SCAN,
    OLD_BMP,
    PNM,
    PNM_HEADER,
    PNM_LARGEST,
    Header,
    jpeg_segments,
)
from tunesmith.core.tiff import directory

MOST_PARTS = 200_000  # chunks, blocks or frames parsed per file
MOST_TEXT = 1_000_000  # bytes that the compressed texts of a file may decompress to in total
PNG_TEXTS = {b"zTXt", b"iTXt"}
WEBP_PIXELS = {b"VP8 ", b"VP8L", b"ALPH", b"ANMF"}
JPEG_EXIF = 0xE1
JPEG_METADATA = {*range(0xE0, 0xF0), 0xFE}  # markers of applications, and of comments
PNG_PIXELS = {b"IDAT", b"PLTE", b"tRNS"}  # chunks without which the image is another one
MOST_KINDS = 32  # of metadata, named per file
GIF_TABLE = 0x80  # flag: a color table follows, of size 2 << the lowest three bits
GIF_EXTENSION, GIF_IMAGE, GIF_END = 0x21, 0x2C, 0x3B
BMP_RUNS = {1, 2}  # run-length compressions, whose size is in the header
PNM_TEXT = b"123"  # types whose values are text


@final
@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Structure of an image file.

    Attributes:
        end: Offset of the image's end, in bytes; None if the format has none or parsing fails.
        frames: Number of frames or pages.
        exif: Exif data, in TIFF format; empty if there are none.
        asides: Everything but the pixels, with compressed texts also decompressed; the whole file
            if the pixels cannot be located.
        kinds: Kinds of metadata, by the format's own names; only of JPEG, PNG and WebP.
    """

    end: int | None
    frames: int = 1
    exif: bytes = b""
    asides: tuple[bytes, ...] = ()
    kinds: tuple[str, ...] = ()


def dissect(data: bytes, header: Header) -> Anatomy:
    """Parse the structure of a file, given its header."""
    try:
        found = FORMATS[header.format](data)
    except (struct.error, IndexError):
        found = None
    return found or Anatomy(end=None, asides=(data,))


def _png(data: bytes) -> Anatomy | None:
    place, frames, exif, left = 33, 1, b"", MOST_TEXT  # after the header chunk
    asides: list[bytes] = []
    kinds: set[bytes] = set()
    for _ in range(MOST_PARTS):
        size, kind = struct.unpack_from(">I4s", data, place)
        begin, place = place + 8, place + 12 + size
        if kind == b"IDAT":
            continue
        if kind == b"IEND":
            named = _named(kinds - PNG_PIXELS)
            return Anatomy(end=place, frames=frames, exif=exif, asides=tuple(asides), kinds=named)
        content = data[begin : begin + size]
        kinds.add(kind)
        asides.append(content)
        if kind == b"acTL":
            frames = int.from_bytes(content[:4])
        elif kind == b"eXIf":
            exif = content
        elif kind in PNG_TEXTS and left:  # zlib treats a limit of 0 as none
            asides.append(_unpacked(kind, content, left))
            left -= len(asides[-1])
    return None


def _named(kinds: set[bytes]) -> tuple[str, ...]:
    """Name kinds of metadata; a hostile file may claim any number of them."""
    return tuple(sorted(kind.decode("latin-1") for kind in kinds)[:MOST_KINDS])


def _unpacked(kind: bytes, content: bytes, most: int) -> bytes:
    """Decompress the text of a PNG chunk (PNG 3, 11.3.3), up to ``most`` bytes."""
    _, _, rest = content.partition(b"\0")
    if kind == b"zTXt":
        packed = rest[1:]
    else:
        packed = rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return b""


def _jpeg(data: bytes) -> Anatomy | None:
    exif, scan, last = b"", 0, 0  # ends of the first scan's header and of the last metadata
    kinds: set[str] = set()
    for marker, begin, end in jpeg_segments(data):
        is_exif = marker == JPEG_EXIF and data.startswith(b"Exif\0\0", begin)
        if is_exif:
            exif = data[begin + 6 : end]
        if marker in JPEG_METADATA:
            kinds.add("EXIF" if is_exif else f"{marker:X}")  # XMP has the same marker
            last = end
        elif marker == JPEG_SCAN:
            scan = scan or end
        elif marker == JPEG_END:
            asides = (data[: max(scan, last)],)
            return Anatomy(end=end, exif=exif, asides=asides, kinds=tuple(sorted(kinds)))
    return None


def _gif(data: bytes) -> Anatomy | None:
    frames, place, is_inside, begin = 0, 13 + _gif_table(data[10]), False, 0
    asides: list[bytes] = []
    for _ in range(MOST_PARTS):
        first = data[place]
        if is_inside:  # a sequence of blocks, each after its size; an empty one ends it
            place += 1 + first
            is_inside = first > 0
            if not is_inside and begin:
                asides.append(data[begin:place])
        elif first == GIF_EXTENSION:
            begin, place, is_inside = place, place + 2, True
        elif first == GIF_IMAGE:
            begin, place, is_inside = 0, place + 11 + _gif_table(data[place + 9]), True
            frames += 1
        else:
            return Anatomy(end=place + 1, frames=frames, asides=tuple(asides))
    return None


def _gif_table(flags: int) -> int:
    """Size of a color table in bytes."""
    return 3 * (2 << (flags & 7)) if flags & GIF_TABLE else 0


def _bmp(data: bytes) -> Anatomy:
    claimed, begin, header = struct.unpack_from("<I4xII", data, 2)
    if header == OLD_BMP:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = size = 0
    else:
        width, height, _, bits, packing, size = struct.unpack_from("<iiHHII", data, 18)
    rows = size if packing in BMP_RUNS else (abs(width) * bits + 31) // 32 * 4 * abs(height)
    pixels_end = begin + rows
    end = max(claimed, pixels_end)  # a color profile may lie between the two
    return Anatomy(end=end, asides=(data[:begin], data[pixels_end:end]))


def _tiff(data: bytes) -> Anatomy:
    return Anatomy(
        end=None, frames=2 if directory(data).following else 1, exif=data, asides=(data,)
    )


def _webp(data: bytes) -> Anatomy | None:
    frames, exif, place = 0, b"", 12
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    asides: list[bytes] = []
    kinds: set[bytes] = set()
    for _ in range(MOST_PARTS):
        if place >= end:
            return Anatomy(
                end=end,
                frames=max(1, frames),
                exif=exif,
                asides=tuple(asides),
                kinds=_named(kinds),
            )
        kind, size = struct.unpack_from("<4sI", data, place)
        begin, place = place + 8, place + 8 + size + size % 2
        frames += kind == b"ANMF"
        if kind not in WEBP_PIXELS:
            asides.append(data[begin:place])
            kinds.add(kind)
        if kind == b"EXIF":
            exif = asides[-1].removeprefix(b"Exif\0\0")
    return None


def _pnm(data: bytes) -> Anatomy | None:
    found = PNM.match(data, 0, PNM_HEADER)
    if not found or found[1] in PNM_TEXT:
        return None
    kind, width, height = map(int, found.groups())
    if kind == 4:  # noqa: PLR2004 (black and white, eight pixels a byte)
        begin, size = found.end() + 1, (width + 7) // 8 * height
    else:
        largest = PNM_LARGEST.match(data, found.end(), PNM_HEADER)
        if not largest:
            return None
        wide = 1 + (int(largest[1]) > 255)  # noqa: PLR2004 (of a byte)
        begin, size = largest.end() + 1, width * height * wide * (3 if kind == 6 else 1)  # noqa: PLR2004 (in colors)
    return Anatomy(end=begin + size, asides=(data[:begin],))


FORMATS = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "WebP": _webp,
    "PNM": _pnm,
}
