"""Tar files, plain or packed, read without unpacking them into folders."""

import bz2
import contextlib
import gzip
import lzma
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, final

from tunesmith.core.errors import SourceError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.data.archives import (
    TARS,
    Stored,
    bad_path,
    bomb,
    most_unpacked,
    refused,
    sorted_without_top,
)
from tunesmith.data.folders import is_hidden, is_image
from tunesmith.data.reading import Pieces

PIECE = 1_000_000  # bytes read at a time
# Unlike tarfile's own stream, these check that what they unpack is what was packed.
PACKINGS: Mapping[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
LONGEST = max(map(len, PACKINGS))


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

    A packed one has no places to jump to: it is unpacked, once, into a temporary file that vanishes
    with the process.

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
            with _unpacked(path) as (file, check):
                self.members = sorted_without_top(self._list(file, check))
                self._content = Pieces(file)
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise SourceError(
                f"{path} cannot be read as a tar file: {error}. If it was cut off on its way, "
                "fetch it again; if the disk of temporary files is full, unpack it by hand."
            ) from None
        self.skipped = +self.skipped

    def _list(self, file: IO[bytes], check: int) -> list[Stored]:
        with tarfile.open(fileobj=file, mode="r:") as opened:
            found = [
                Stored(info.name, info.offset_data, info.size, f"{info.size},{info.mtime},{check}")
                for info in self._images(opened)
            ]
            # Any block that is no header ends the list; only zeros say that this is the end.
            file.seek(opened.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("it ends without an end mark")
            if any(piece.strip(b"\0") for piece in iter(partial(file.read, PIECE), b"")):
                raise tarfile.ReadError("there is something behind its end")
        return found

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


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The file itself and 0; or if it is packed, what is in it, and the checksum of that.

    Raises:
        SourceError: It is a bomb.
    """
    with path.open("rb") as file:
        begin, _ = file.read(LONGEST), file.seek(0)
        unpack = next((unpack for mark, unpack in PACKINGS.items() if begin.startswith(mark)), None)
        if not unpack:
            yield file, 0
            return
        most, check = most_unpacked(path), 0
        with unpack(file) as packed, tempfile.TemporaryFile() as spool:
            while piece := packed.read(PIECE):
                if spool.tell() + len(piece) > most:
                    raise bomb(path)
                check = zlib.crc32(piece, check)
                spool.write(piece)
            spool.seek(0)
            yield spool, check


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
