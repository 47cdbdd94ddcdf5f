"""Read zip archives without extracting them: fast, and nothing is written to disk."""

import contextlib
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeVar, final

from tunesmith.core.errors import SourceError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.data.folders import BEGIN, HIDDEN, PARTS, is_hidden, passed_over, printable
from tunesmith.data.reading import Pieces

LARGEST_RATIO = 200  # uncompressed to compressed bytes; more is a bomb (deflate: up to about 1,000)
HARMLESS = 1_000_000  # uncompressed bytes up to which any ratio is fine, as of a white bitmap
LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field, in a local file header
LOCAL_HEADER_SIZE = 30
LEAD = 300  # bytes that usually hold a local header with its name and extra field
LONGEST_END = 22 + 65_535  # bytes of the record at the end, with a comment (APPNOTE 4.3.16)
MANY = 0xFFFF  # number of members in this record if there are too many for it
LINK, KIND = 0o120000, 0o170000  # bits of a Unix mode
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVES = (".zip", ".7z", ".rar", *TARS)
ENCRYPTED, IS_UTF8 = 1, 0x800  # flags of a member (APPNOTE 6.3.10, 4.4.4)
DRIVE = re.compile(r"[A-Za-z]:")
REPLACED = "file that a later one replaces"
S = TypeVar("S", bound="Stored")


@dataclass(frozen=True)
class Stored:
    """One file in an archive: path, offset, size, and a stamp that changes with its content."""

    name: str
    offset: int
    size: int
    stamp: str


@final
@dataclass(frozen=True)
class Member(Stored):
    """One file in a zip archive, with what is needed to decompress it."""

    packed: int
    method: int
    crc: int


def _name(info: zipfile.ZipInfo) -> str:
    """A member's "/"-separated path; UTF-8 is recognized even if not flagged, as by macOS."""
    name = info.filename
    if not info.flag_bits & IS_UTF8 and not name.isascii():
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    name = name if "/" in name else name.replace("\\", "/")
    return name.removeprefix("./")


def bad_path(name: str) -> str | None:
    """Why a member's path makes the whole archive unacceptable, in words; None if it does not.

    A nested archive is refused, not skipped, since it may be the test set.

    Example:
        >>> bad_path("cat/../../x.png"), bad_path("test.zip"), bad_path("cat/1.png")
        ('lies outside the folder', 'is an archive itself', None)

    """
    if name.startswith(("/", "\\")):
        return "has an absolute path"
    if DRIVE.match(name):
        return "names a drive"
    if ".." in name and ".." in re.split(r"[/\\]", name):
        return "lies outside the folder"
    if name.lower().endswith(ARCHIVES) and not is_hidden(name):
        return "is an archive itself"
    return None


def _bad_kind(info: zipfile.ZipInfo) -> str | None:
    return "is a link" if info.external_attr >> 16 & KIND == LINK else None


def _bad_content(info: zipfile.ZipInfo) -> str | None:
    """Why an image member must not be decompressed, in words; None if it may be."""
    if info.flag_bits & ENCRYPTED:
        return "is encrypted"
    if (size := max(info.file_size, info.compress_size)) > LARGEST_FILE:
        return f"claims {size:,} bytes, more than {LARGEST_FILE:,}"
    if info.file_size > max(HARMLESS, LARGEST_RATIO * info.compress_size):
        return f"claims to unpack to more than {LARGEST_RATIO} times its size"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is packed by a method other than store and deflate"
    return None


def _member(name: str, info: zipfile.ZipInfo) -> Member:
    return Member(
        name=name,
        offset=info.header_offset,
        size=info.file_size,
        stamp=f"{info.file_size},{info.CRC}",
        packed=info.compress_size,
        method=info.compress_type,
        crc=info.CRC,
    )


def refused(path: Path, name: str, reason: str) -> SourceError:
    """Build the error for a member that makes the archive unacceptable."""
    return SourceError(
        f"An archive must hold plain image files, but in {path} the member "
        f"{printable(os.fsencode(name))} {reason}. Make the archive again, of plain files "
        "alone."
    )


def most_unpacked(path: Path) -> int:
    """Total bytes that a compressed file may decompress to."""
    return max(LARGEST_FILE, LARGEST_RATIO * path.stat().st_size)


def bomb(path: Path) -> SourceError:
    """Build the error for an archive that is a decompression bomb."""
    return SourceError(
        f"An archive must not be a bomb, but {path} unpacks to more than {LARGEST_RATIO} times its "
        "size. If you trust it, unpack it by hand."
    )


def latest(members: list[S]) -> list[S]:
    """Sort by path, and keep the last member of each path, as extraction would."""
    by_name = {member.name: member for member in members}
    return [by_name[name] for name in sorted(by_name)]


def without_top(images: list[S], others: list[S]) -> tuple[list[S], list[S]]:
    """Remove the single top folder that holds all class or split folders of images, if any."""
    tops = {image.name.partition("/")[0] for image in images}
    is_deep = all(image.name.count("/") >= 2 for image in images)  # noqa: PLR2004 (two folders)
    if len(tops) != 1 or tops & PARTS.keys() or not is_deep:
        return images, others
    top = f"{tops.pop()}/"

    def cut(members: list[S]) -> list[S]:
        return [replace(each, name=each.name.removeprefix(top)) for each in members]

    return cut(images), cut(others)


def _check_count(file: IO[bytes], count: int) -> None:
    """Compare the number of members found with the number stated at the end of a zip file.

    A damaged entry can hide those after it.

    Raises:
        BadZipFile: The numbers differ.
    """
    file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_END))
    end = file.read()
    (promised,) = struct.unpack_from("<H", end, end.rindex(b"PK\5\6") + 10)
    if promised not in {MANY, count % (MANY + 1)}:
        raise zipfile.BadZipFile(f"it lists {count:,} members, but promises {promised:,}")


@final
class Archive:
    """A zip file whose members can be read by many threads at once.

    Args:
        path: Zip file to read.

    Attributes:
        members: Image files, sorted by path.
        others: Other files that are not hidden.
        skipped: Number of files that are not images, by kind.

    Raises:
        SourceError: The file is not a zip file, or holds an unacceptable member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file, zipfile.ZipFile(file) as opened:
                infos = opened.infolist()
                _check_count(file, len(infos))
                self._content = Pieces(file)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise SourceError(
                f"{path} cannot be read as a zip file: {error}. If it was cut off on its way, "
                "fetch it again."
            ) from None
        images: list[Member] = []
        others: list[Member] = []
        skipped: Counter[str] = Counter()
        for info in infos:
            name = _name(info)
            kind = passed_over(name)
            bad = bad_path(name) or _bad_kind(info)
            if reason := bad or (None if kind else _bad_content(info)):
                raise refused(path, name, reason)
            if kind is None:
                images.append(_member(name, info))
            elif not info.is_dir():
                skipped[kind] += 1
                others += [_member(name, info)] * (kind != HIDDEN)
        # Many members may share the same compressed bytes.
        if sum(member.size for member in images) > most_unpacked(path):
            raise bomb(path)
        self.members, self.others = without_top(latest(images), latest(others))
        skipped[REPLACED] = len(images) - len(self.members)
        self.skipped = +skipped

    def read(self, member: Member) -> bytes:
        """Read a member and verify its checksum.

        Raises:
            OSError: The member is damaged.
        """
        try:
            content = self._packed(member, member.packed)
            if member.method == zipfile.ZIP_DEFLATED:
                content = zlib.decompressobj(-15).decompress(content, member.size + 1)
        except (struct.error, zlib.error, OverflowError) as error:
            raise OSError(f"the archive is damaged here: {error}") from None
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise OSError("the archive is damaged here: wrong checksum")
        return content

    def begin(self, member: Member) -> bytes:
        """Read a member's first bytes, unverified; empty if damaged or of another compression."""
        with contextlib.suppress(OSError, struct.error, zlib.error, OverflowError):
            packed = self._packed(member, min(member.packed, BEGIN))
            if member.method == zipfile.ZIP_STORED:
                return packed
            if member.method == zipfile.ZIP_DEFLATED:
                return zlib.decompressobj(-15).decompress(packed, BEGIN)
        return b""

    def _packed(self, member: Member, size: int) -> bytes:
        """Read a member's first bytes as stored in the archive."""
        data = self._content.read(member.offset, LEAD + size)
        name, extra = LOCAL_HEADER.unpack_from(data)
        begin = LOCAL_HEADER_SIZE + name + extra
        if begin > LEAD:
            data = self._content.read(member.offset, begin + size)
        return data[begin : begin + size]
