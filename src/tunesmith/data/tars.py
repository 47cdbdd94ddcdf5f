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
from typing import IO, Any, Protocol, cast, final

from tunesmith.core.errors import SourceError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.data.archives import (
    REPLACED,
    TARS,
    Stored,
    bad_path,
    bomb,
    latest,
    most_unpacked,
    refused,
    without_top,
)
from tunesmith.data.folders import BEGIN, HIDDEN, passed_over
from tunesmith.data.reading import Pieces

PIECE = 1_000_000  # bytes read at a time
MOST_HEADERS = 1_000_000  # bytes of all that comes before a member's content: long names and such
MOST_GLOBAL = 100  # records that a file states for all its members; programs state one or two
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


class _File(Protocol):
    """What is asked of an open file."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, place: int, /) -> int: ...
    def tell(self) -> int: ...


@final
class _Headers:
    """A file as `tarfile` may read it: forwards alone, and no more than the headers take.

    Python 3.11 believes what a header says: a size below zero takes it back, round and round, and a
    name of gigabytes is read at once. Every way to that leads through these calls, while a check
    in `tarfile.TarInfo` would have to be in each of its private methods.

    Args:
        file: The file.

    Attributes:
        left: Bytes that the headers of the next member may take.
        last: What was read last.
    """

    def __init__(self, file: _File) -> None:
        self._file = file
        self.left = MOST_HEADERS
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise tarfile.ReadError(f"headers of a member claim more than {MOST_HEADERS:,} bytes")
        self.left -= size
        self.last = self._file.read(size)
        return self.last

    def seek(self, place: int) -> int:
        if place < self._file.tell():
            raise tarfile.ReadError("a header leads back to what comes before it")
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def members(file: _File) -> Iterator[tarfile.TarInfo]:
    """Follow the headers of a tar file, whatever they claim.

    Args:
        file: At its beginning, unpacked. The content of a member may be read from it as soon as
            the member is there; at the end, it is behind the mark that says so.

    Yields:
        Each member; its content does not reach into the next one.

    Raises:
        tarfile.TarError: It is no tar file, damaged, or made to do harm.
    """
    try:
        yield from _members(_Headers(file))
    # What tarfile stumbles over: numbers that are none or too large, endless chains of headers.
    except (ValueError, IndexError, OverflowError, RecursionError) as error:
        raise tarfile.ReadError(f"a header makes no sense ({error})") from None


def _members(headers: _Headers) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=cast("IO[bytes]", headers), mode="r:") as opened:
        for info in iter(opened.next, None):
            if reason := _nonsense(info, opened):
                raise tarfile.ReadError(reason)
            yield info
            info.pax_headers = {}  # a copy of its own for each, which tarfile would keep
            headers.left = MOST_HEADERS
    # Any block that is no header ends the list; only zeros say that this is the end.
    if headers.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends without an end mark")


def _nonsense(info: tarfile.TarInfo, opened: tarfile.TarFile) -> str | None:
    """What the headers of a member claim that cannot be, in words."""
    if info.size < 0:
        return f"a member claims {info.size:,} bytes"
    # Later headers may have replaced the size by which the next member was found.
    if info.isfile() and not info.issparse() and info.offset_data + info.size > opened.offset:
        return "the content of a member reaches into the next one"
    if len(opened.pax_headers) > MOST_GLOBAL:
        return f"it states {len(opened.pax_headers):,} records for all its members"
    return None


@final
class Tar:
    """A tar file whose members are read by many threads at once.

    A packed one has no places to jump to: it is unpacked, once, into a temporary file that vanishes
    with the process.

    Args:
        path: The file.

    Attributes:
        members: The images, sorted by path.
        others: Other files that are not hidden.
        skipped: What is no image, counted by kind.

    Raises:
        SourceError: It is no tar file, or holds a member that rules it out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        skipped: Counter[str] = Counter()
        try:
            with _unpacked(path) as (file, check):
                images, others = self._list(file, check, skipped)
                self._content = Pieces(file)
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise SourceError(
                f"{path} cannot be read as a tar file: {error}. If it was cut off on its way, "
                "fetch it again; if the disk of temporary files is full, unpack it by hand."
            ) from None
        self.members, self.others = without_top(latest(images), latest(others))
        skipped[REPLACED] = len(images) - len(self.members)
        self.skipped = +skipped

    def _list(
        self, file: IO[bytes], check: int, skipped: Counter[str]
    ) -> tuple[list[Stored], list[Stored]]:
        """The images and other files; what is no image is counted, what is dangerous refused."""
        images: list[Stored] = []
        others: list[Stored] = []
        for info in members(file):
            name = info.name.removeprefix("./")
            kind = passed_over(name)
            is_used = kind is None and not info.isdir()
            place = f"{name}/" if info.isdir() else name
            if reason := bad_path(place) or _bad_kind(info, is_used=is_used):
                raise refused(self.path, info.name, reason)
            stamp = f"{info.size},{info.mtime},{check}"
            stored = Stored(name, info.offset_data, info.size, stamp)
            if is_used:
                images.append(stored)
            elif kind and info.isfile():
                skipped[kind] += 1
                others += [stored] * (kind != HIDDEN)
        if any(piece.strip(b"\0") for piece in iter(partial(file.read, PIECE), b"")):
            raise tarfile.ReadError("there is something behind its end")
        return images, others

    def read(self, member: Stored) -> bytes:
        """The bytes of a member.

        Raises:
            OSError: The file was cut off.
        """
        content = self._content.read(member.offset, member.size)
        if len(content) != member.size:
            raise OSError("the archive is damaged here: it was cut off")
        return content

    def begin(self, member: Stored) -> bytes:
        """The first bytes of a member; none if they cannot be read."""
        with contextlib.suppress(OSError):
            return self._content.read(member.offset, min(member.size, BEGIN))
        return b""


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
    reasons = {
        "is a link": info.issym() or info.islnk(),
        "is a device": info.ischr() or info.isblk() or info.isfifo(),
        "is of an unknown kind": is_used and not info.isfile(),
        "is a sparse file": is_used and info.issparse(),
        f"claims {info.size:,} bytes, more than {LARGEST_FILE:,}": (
            is_used and info.size > LARGEST_FILE
        ),
    }
    return next((why for why, is_so in reasons.items() if is_so), None)
