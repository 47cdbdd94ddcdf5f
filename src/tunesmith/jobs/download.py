"""Download a file once, and resume what an earlier attempt left."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tunesmith.core.errors import SourceError
from tunesmith.core.words import megabytes
from tunesmith.data.builtin import Remote

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PIECE = 1 << 18  # bytes between two progress updates
TIMEOUT_S = 30.0  # without any data
BEGUN = ".part"  # suffix of an incomplete file
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")  # RFC 9110, 14.4


class _MirrorError(Exception):
    """Why a mirror failed."""


def download(remote: Remote, folder: Path) -> Iterator[int]:
    """Download a file into a folder, unless it exists there.

    A partial download is resumed, whether the connection broke or the process was killed. The file
    gets its name only once it is complete and has the right SHA-256.

    Yields:
        Number of bytes downloaded so far.

    Raises:
        SourceError: No mirror serves it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not (folder / remote.name).exists():
                yield from _fetch(remote, folder)
    except OSError as error:
        raise SourceError(
            f"{remote.name} needs {megabytes(remote.size)} in {folder}, but: {error.strerror}. "
            "Free some space there, or name another folder by XDG_CACHE_HOME."
        ) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder: wait until no other process downloads into it (not on Windows)."""
    with (folder / ".lock").open("wb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(remote: Remote, folder: Path) -> Iterator[int]:
    part = folder / f"{remote.name}{BEGUN}"
    failures = []
    for mirror in remote.mirrors:
        try:
            yield from _obtain(mirror + remote.name, part, remote)
        except _MirrorError as error:
            failures.append(f"{urlsplit(mirror).netloc} {error}")
        else:
            part.replace(folder / remote.name)
            return
    raise SourceError(
        f"{remote.name} could not be downloaded: {'; '.join(failures)}. Go online and run the same "
        "command again, which goes on where this one was; or fetch "
        f"{remote.mirrors[0]}{remote.name} elsewhere and put it into {folder}, or into the folder "
        f"{folder.name} of the one that $TUNESMITH_DATA names."
    )


def _obtain(url: str, part: Path, remote: Remote) -> Iterator[int]:
    """Download the whole file, and delete it if its hash is wrong."""
    is_resumed = part.exists()
    yield from _persist(url, part, remote.size)
    with part.open("r+b") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())  # before the rename
    if found == remote.sha256:
        return
    part.unlink()
    if not is_resumed:
        raise _MirrorError(f"sent a file of SHA-256 {found[:12]}..., not {remote.sha256[:12]}...")
    yield from _obtain(url, part, remote)  # the resumed part may be at fault


def _persist(url: str, part: Path, size: int) -> Iterator[int]:
    """Request the missing bytes from a mirror, repeatedly while each attempt makes progress."""
    before = -1
    while before < (there := _size(part)) < size:
        before = there
        try:
            yield from _transfer(url, part, size)
        except _MirrorError:
            if _size(part) <= before:
                raise


def _transfer(url: str, part: Path, size: int) -> Iterator[int]:
    """Append the missing bytes, or restart if the mirror does not support ranges."""
    there = _size(part)
    yield there
    asked = {"User-Agent": "tunesmith"} | ({"Range": f"bytes={there}-"} if there else {})
    with _network():
        answer = urlopen(Request(url, headers=asked), timeout=TIMEOUT_S)  # noqa: S310 (addresses are constants)
    with answer:
        done = _begin(answer, there, size)
        with part.open("ab" if done else "wb") as file:
            while done < size:
                with _network():
                    piece = answer.read(min(PIECE, size - done))
                if not piece:
                    raise _MirrorError(f"broke off after {megabytes(done)} of {megabytes(size)}")
                file.write(piece)
                file.flush()  # bytes that were reported survive a kill
                done += len(piece)
                yield done


@contextmanager
def _network() -> Iterator[None]:
    """Turn network errors into `_MirrorError` with a readable reason."""
    try:
        yield
    except HTTPError as error:
        error.close()
        raise _MirrorError(f"answers {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        words = getattr(reason, "strerror", None) or reason
        raise _MirrorError(f"cannot be reached ({words})") from None


def _begin(answer: HTTPResponse, there: int, size: int) -> int:
    """Return the offset at which a response begins: ``there`` as requested, or 0."""
    stated = RANGE.match(answer.headers.get("Content-Range", ""))
    begin = int(stated[1]) if stated and answer.status == 206 else 0  # noqa: PLR2004 (a part)
    total = stated[2] if stated else answer.headers.get("Content-Length", "*")
    if begin not in {0, there} or total not in {"*", str(size)}:
        raise _MirrorError(f"sends from byte {begin} of {total} on, not from {there} of {size}")
    return begin


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
