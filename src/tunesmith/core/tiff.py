"""Read the directories of TIFF files and Exif data (TIFF 6.0, section 2; BigTIFF).

Nothing here raises: missing, truncated or invalid values read as a default.
"""

from dataclasses import dataclass
from typing import Literal, final

SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # bytes of an integer, by an entry's type
BIG = 43  # version number of BigTIFF, in which offsets and counts have 8 bytes
MOST_ENTRIES = 512  # read per directory


@final
@dataclass(frozen=True, kw_only=True)
class Directory:
    """One directory of a TIFF file.

    Attributes:
        data: Content of the whole file.
        order: Byte order of its numbers.
        entries: By tag, the first value's offset in ``data`` and size in bytes; size 0 if it is not
            an integer.
        following: Offset of the next directory; 0 after the last one.
    """

    data: bytes
    order: Literal["little", "big"]
    entries: dict[int, tuple[int, int]]
    following: int

    def number(self, tag: int, default: int = 0) -> int:
        """Return an entry's first value if it is an integer, else the default."""
        place, size = self.entries.get(tag, (0, 0))
        return int.from_bytes(self.data[place : place + size], self.order) if size else default


def directory(data: bytes, place: int | None = None) -> Directory:
    r"""Read the directory at an offset of a TIFF file; by default the first one.

    Example:
        >>> exif = b"II*\0\x08\0\0\0" b"\x01\0" b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" b"\0\0\0\0"
        >>> directory(exif).number(0x0112)
        6

    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(begin: int, size: int) -> int:
        return int.from_bytes(data[begin : begin + size], order)

    few, wide = (8, 8) if number(2, 2) == BIG else (2, 4)  # bytes of an entry count, of an offset
    begin = (number(wide, wide) if place is None else place) + few
    step = 4 + 2 * wide
    end = begin + step * number(begin - few, few)
    entries = {}
    for entry in range(begin, min(end, len(data)), step)[:MOST_ENTRIES]:
        size = SIZES.get(number(entry + 2, 2), 0)
        value = entry + 4 + wide  # offset of the value or, if that is too long, of its offset
        fits = size * number(entry + 4, wide) <= wide
        entries[number(entry, 2)] = (value if fits else number(value, wide), size)
    return Directory(data=data, order=order, entries=entries, following=number(end, wide))
