"""Zip files, read without unpacking: fast, and nothing leaves the archive."""

import mmap
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from tunesmith.core.errors import SourceError

LARGEST_MEMBER = 100_000_000  # bytes, unpacked; no image that we decode is larger
LARGEST_RATIO = 500  # unpacked to packed bytes; more is a bomb (deflate itself ends at about 1,000)
LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field, in a local file header
LOCAL_HEADER_SIZE = 30
LINK, KIND = 0o120000, 0o170000  # of a Unix mode


@final
@dataclass(frozen=True)
class Member:
    """One file in an archive: its path, and what it takes to read it."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int


def _check(info: zipfile.ZipInfo, archive: Path) -> None:
    """Refuse a member that could do harm.

    Raises:
        SourceError: It would leave the folder, is a link, encrypted, or a bomb.
    """
    name = info.filename.replace("\\", "/")
    outside = ".." in PurePosixPath(name).parts or name.startswith("/") or ":" in name[:3]
    is_link = info.external_attr >> 16 & KIND == LINK
    reason = (
        "lies outside the folder"
        if outside
        else "is a link"
        if is_link
        else "is encrypted"
        if info.flag_bits & 1
        else f"claims {info.file_size:,} bytes, more than {LARGEST_MEMBER:,}"
        if info.file_size > LARGEST_MEMBER
        else f"claims to unpack to more than {LARGEST_RATIO} times its size"
        if info.file_size > LARGEST_RATIO * max(1, info.compress_size) + 4096
        else "is packed by a method other than store and deflate"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        else None
    )
    if reason:
        raise SourceError(
            f"{archive} is refused: its member {info.filename!r} {reason}. Make the archive again "
            "from plain image files."
        )


@final
class Archive:
    """A zip file whose members are read by many threads at once.

    Args:
        path: The file.

    Raises:
        SourceError: It is no zip file, or holds a member that could do harm.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as opened:
                infos = [info for info in opened.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise SourceError(
                f"{path} cannot be read as a zip file: {error}. If it was cut off on its way, "
                "fetch it again."
            ) from None
        for info in infos:
            _check(info, path)
        self.members = [
            Member(
                i.filename, i.header_offset, i.compress_size, i.file_size, i.compress_type, i.CRC
            )
            for i in infos
        ]
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None

    def _open(self) -> mmap.mmap:
        with self._lock:
            if self._map is None:
                with self.path.open("rb") as file:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return self._map

    def read(self, member: Member) -> bytes:
        """The bytes of a member, checked against its checksum.

        Raises:
            OSError: They are damaged.
        """
        data = self._map or self._open()
        try:
            name, extra = LOCAL_HEADER.unpack_from(data, member.offset)
            begin = member.offset + LOCAL_HEADER_SIZE + name + extra
            content = data[begin : begin + member.packed]
            if member.method == zipfile.ZIP_DEFLATED:
                content = zlib.decompressobj(-15).decompress(content, member.size + 1)
        except (struct.error, zlib.error) as error:
            raise OSError(f"the archive is damaged here: {error}") from None
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise OSError("the archive is damaged here: wrong checksum")
        return content
