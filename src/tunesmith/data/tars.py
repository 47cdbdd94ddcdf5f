"""Read tar archives, plain or compressed, without extracting them."""

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
MOST_HEADERS = 1_000_000  # bytes of all headers before a member's content, such as long names
MOST_GLOBAL = 100  # records that apply to all members of a file; programs write one or two
# Unlike tarfile's own stream, these verify checksums.
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
    """Methods that an open file must have."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, place: int, /) -> int: ...
    def tell(self) -> int: ...


@final
class _Headers:
    """A wrapper through which `tarfile` reads a file: only forward, with a limit on header sizes.

    Python 3.11 trusts a header: a negative size moves it back, in an endless loop, and a name of
    gigabytes is read at once. All of that goes through these calls, whereas checks in
    `tarfile.TarInfo` would be needed in each of its private methods.

    Args:
        file: File to read.

    Attributes:
        left: Bytes that the headers of the next member may take.
        last: Bytes that were read last.
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
    """Iterate over the members of an untrusted tar file.

    Args:
        file: Decompressed file, at its beginning. The content of a member can be read from it once
            the member is yielded; in the end, its position is after the end mark.

    Yields:
        Each member; its content does not reach into the next one.

    Raises:
        tarfile.TarError: The file is not a tar file, is damaged, or is malicious.
    """
    try:
        yield from _members(_Headers(file))
    # Raised by tarfile for invalid or too large numbers, and for endless chains of headers.
    except (ValueError, IndexError, OverflowError, RecursionError) as error:
        raise tarfile.ReadError(f"a header makes no sense ({error})") from None


def _members(headers: _Headers) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=cast("IO[bytes]", headers), mode="r:") as opened:
        for info in iter(opened.next, None):
            if reason := _nonsense(info, opened):
                raise tarfile.ReadError(reason)
            yield info
            info.pax_headers = {}  # tarfile would keep a copy for each member
            headers.left = MOST_HEADERS
    # Any block that is not a header ends the list; only zeros are an end mark.
    if headers.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends without an end mark")


def _nonsense(info: tarfile.TarInfo, opened: tarfile.TarFile) -> str | None:
    """Describe an impossible claim of a member's headers, in words; None if there is none."""
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
    """A tar file whose members can be read by many threads at once.

    A compressed one has no random access: it is decompressed once, into a temporary file that
    disappears with the process.

    Args:
        path: Tar file to read.

    Attributes:
        members: Image files, sorted by path.
        others: Other files that are not hidden.
        skipped: Number of files that are not images, by kind.

    Raises:
        SourceError: The file is not a tar file, or holds an unacceptable member.
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
        """List images and other files; count those that are no images, refuse dangerous ones."""
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
        """Read a member.

        Raises:
            OSError: The file was truncated.
        """
        content = self._content.read(member.offset, member.size)
        if len(content) != member.size:
            raise OSError("the archive is damaged here: it was cut off")
        return content

    def begin(self, member: Stored) -> bytes:
        """Read a member's first bytes; empty if they cannot be read."""
        with contextlib.suppress(OSError):
            return self._content.read(member.offset, min(member.size, BEGIN))
        return b""


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Yield the file itself and 0; or if it is compressed, its content and the content's checksum.

    Raises:
        SourceError: The file is a decompression bomb.
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
    """Why a member must not be read, in words; None if it may be."""
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
