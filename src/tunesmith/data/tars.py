"""Tar files, plain or packed, read without unpacking them into folders."""

import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import final

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import (
    LARGEST_RATIO,
    TARS,
    Stored,
    bad_path,
    refused,
    sorted_without_top,
)
from tunesmith.data.folders import is_hidden, is_image
from tunesmith.data.reading import LARGEST_FILE, Pieces

HARMLESS = 100_000_000  # bytes, unpacked, of which the ratio is not asked


def is_tar(name: str) -> bool:
    """Whether a file's name ends like a tar file's.

    Example:
        >>> is_tar("photos.TAR.gz"), is_tar("photos.gz")
        (True, False)

    """
    return name.lower().endswith(TARS)


@final
class Tar:
    """A tar file whose members are read by many threads at once.

    A packed one has no places to jump to: its images are copied, once and in order, into a
    temporary file that vanishes with the process.

    Args:
        path: The file.

    Attributes:
        members: The images, sorted by path.
        skipped: Other files, counted by kind.

    Raises:
        SourceError: It is no tar file, or holds a member that rules it out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        try:
            self.members, self._content = self._plain() if _is_plain(path) else self._packed()
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"{path} cannot be read as a tar file: {error}. If it was cut off on its way, "
                "fetch it again; if the disk of temporary files is full, unpack it by hand."
            ) from None
        self.skipped = +self.skipped

    def _plain(self) -> tuple[list[Stored], Pieces]:
        with tarfile.open(self.path, "r:") as opened:
            found = [
                Stored(info.name, info.offset_data, info.size, f"{info.size},{info.mtime}")
                for info in self._images(opened)
            ]
        with self.path.open("rb") as file:
            return sorted_without_top(found), Pieces(file)

    def _packed(self) -> tuple[list[Stored], Pieces]:
        most = max(HARMLESS, LARGEST_RATIO * self.path.stat().st_size)
        found: list[Stored] = []
        total = 0
        with tempfile.TemporaryFile() as spool, tarfile.open(self.path, "r|*") as opened:
            for info in self._images(opened):
                total += info.size
                if total > most:
                    raise refused(
                        self.path, info.name, f"unpacks to more than {LARGEST_RATIO} times its size"
                    )
                content = opened.extractfile(info)
                data = content.read() if content else b""
                stamp = f"{len(data)},{zlib.crc32(data)}"
                found.append(Stored(info.name, spool.tell(), len(data), stamp))
                spool.write(data)
            spool.flush()
            return sorted_without_top(found), Pieces(spool)

    def _images(self, opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        """The members that are images; others are counted, dangerous ones refused."""
        for info in opened:
            name = info.name.removeprefix("./")
            kind = "hidden" if is_hidden(name) else None if is_image(name) else "not an image"
            place = f"{name}/" if info.isdir() else name
            if reason := bad_path(place) or _bad_kind(info, is_used=kind is None):
                raise refused(self.path, info.name, reason)
            if kind is None:
                info.name = name
                yield info
            else:
                self.skipped[kind] += info.isfile()

    def read(self, member: Stored) -> bytes:
        """The bytes of a member.

        Raises:
            OSError: The file was cut off.
        """
        content = self._content.read(member.offset, member.size)
        if len(content) != member.size:
            raise OSError("the archive is damaged here: it was cut off")
        return content


def _is_plain(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except tarfile.ReadError:
        return False


def _bad_kind(info: tarfile.TarInfo, *, is_used: bool) -> str | None:
    """Why a member is nothing to be read, in words."""
    if info.issym() or info.islnk():
        return "is a link"
    if info.ischr() or info.isblk() or info.isfifo():
        return "is a device"
    if not is_used:
        return None
    if info.issparse():
        return "is a sparse file"
    if info.size > LARGEST_FILE:
        return f"claims {info.size:,} bytes, more than {LARGEST_FILE:,}"
    return None
