"""Decode untrusted files in processes with limits, so that a bad file can only kill one of them.

On Windows, which has no such limits, files are decoded in this process, without any.
"""

import contextlib
import json
import math
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import LifoQueue
from typing import IO, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import InternalError
from tunesmith.core.pixels import ALPHA, MOST_PIXELS, NO_MEMORY, decode_or_say, full_size
from tunesmith.data.examine import Examined, examine
from tunesmith.data.loaded import Decoded
from tunesmith.data.processes import HAS_LIMITS, exit_status, start

Pixels = NDArray[np.uint8]
Named = tuple[bytes, str | None]  # content of a file, and its name if it is to be examined
FULL = 32_000_000  # bytes of pixels after which no more images are put into one response
ROOM = FULL + ALPHA * MOST_PIXELS  # bytes of shared memory per process; unused pages cost nothing
WORKER = "tunesmith.data.worker"
# How reasons begin that another try may not give.
PASSING = TOO_LONG, TOO_LATE, CRASHED = "decoding it needed", "decoding it took", "it crashed"


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource limits for decoding one image.

    Attributes:
        memory: Bytes in addition to those at the start of the process; enforced on Linux only.
        cpu_s: Seconds of CPU time.
        wall_s: Seconds of wall-clock time, in case of a hang; generous, for a busy machine.
    """

    memory: int = 40 * MOST_PIXELS
    cpu_s: float = 10.0
    wall_s: float = 300.0


DEFAULT = Limits()


@final
@dataclass(frozen=True, kw_only=True)
class Death:
    """A process ended before it responded.

    Attributes:
        reason: Why, worded as the reason why the file could not be decoded.
        is_late: Whether it exceeded its time limit.
    """

    reason: str
    is_late: bool = False


def _death(status: int, limits: Limits) -> Death:
    """Explain an exit status, which is negative if a signal ended the process."""
    if status == -signal.SIGPROF:
        return Death(reason=f"{TOO_LONG} more than {limits.cpu_s:g} s", is_late=True)
    if status == -signal.SIGALRM:
        return Death(reason=f"{TOO_LATE} more than {limits.wall_s:g} s", is_late=True)
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return Death(reason=f"{CRASHED} the decoder ({how})")


def is_passing(reason: str) -> bool:
    """Whether the machine may be to blame, rather than the file, so that another try is worthwhile.

    Example:
        >>> is_passing("the file is empty"), is_passing("decoding it took more than 300 s")
        (False, True)

    """
    return reason == NO_MEMORY or reason.startswith(PASSING)


def _shared_file() -> IO[bytes]:
    """Open an anonymous file, in memory if the system has such files."""
    is_linux = sys.platform == "linux"
    return open(os.memfd_create("pixels"), "r+b") if is_linux else tempfile.TemporaryFile()  # noqa: PTH123 (a descriptor; the caller closes it)


def open_or_say(
    file: bytes, channels: int | None, name: str | None, *, enough: int | None
) -> Decoded | str:
    """Decode a file in this process, without limits; return the reason if it fails.

    If it has a name, it is examined as well.
    """
    pixels = decode_or_say(file, channels, enough=enough)
    if isinstance(pixels, str):
        return pixels
    height, width, _ = pixels.shape
    # What is smaller than enough was not reduced: small files need no second look at their header.
    is_whole = enough is None or min(height, width) < enough
    size = (height, width) if is_whole else full_size(file, pixels)
    examined = None if name is None else examine(file, name)
    return Decoded(pixels=pixels, size=size, examined=examined)


@final
class _Process:
    """A running process, and the memory that it shares with this one.

    Raises:
        InternalError: The process did not start.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        with _shared_file() as shared:
            shared.truncate(ROOM)
            self._room = np.frombuffer(mmap.mmap(shared.fileno(), ROOM), np.uint8)
            numbers = shared.fileno(), limits.memory, limits.cpu_s, limits.wall_s
            self._popen = start(
                WORKER, *numbers, stdin=subprocess.PIPE, pass_fds=(shared.fileno(),)
            )
        assert self._popen.stdin
        assert self._popen.stdout
        self._requests, self._answers = self._popen.stdin, self._popen.stdout
        if not self._answers.readline():
            raise InternalError(
                "Images are decoded in processes of their own, but one did not start (exit status "
                f"{self.end()}). Its own words are above; they are also to be had by: python -m "
                f"{WORKER}"
            )

    def ask(
        self, files: Sequence[Named], channels: int | None, enough: int | None
    ) -> list[Decoded | str] | Death:
        """Request the decoding of files.

        Returns:
            For each of the first files, as many as fit into the shared memory: the image, its
            pixels valid until the next call, or why decoding failed.
        """
        sizes, names = [len(file) for file, _ in files], [name for _, name in files]
        told = {"channels": channels, "enough": enough, "sizes": sizes, "names": names}
        request = json.dumps(told)
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(b"".join([request.encode(), b"\n", *(file for file, _ in files)]))
            self._requests.flush()
            answer = self._answers.readline()
        is_whole = answer.endswith(b"\n")
        return self._decoded(answer) if is_whole else _death(self.end(), self._limits)

    def _decoded(self, answer: bytes) -> list[Decoded | str]:
        told = json.loads(answer)
        examined = [None if each is None else Examined.from_list(each) for each in told["examined"]]
        images: list[Decoded | str] = []
        used = 0
        for item in told["images"]:
            if isinstance(item, str):
                images.append(item)
                continue
            *shape, height, width, place = item
            count = math.prod(shape)
            pixels = self._room[used : used + count].reshape(shape)
            size = (height, width)
            images.append(Decoded(pixels=pixels, size=size, examined=examined[place]))
            used += count
        return images

    def hang_up(self) -> None:
        """Close the process's input, so that it ends."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()

    def end(self) -> int:
        """End the process and return its exit status, negative if a signal ended it."""
        self.hang_up()
        self._answers.close()
        return exit_status(self._popen)


@final
class Decoder:
    """A decoding process, started when first needed, and restarted after it died."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._process: _Process | None = None

    def decode(self, files: Sequence[bytes], channels: int | None) -> Iterator[Pixels | str]:
        """Decode files without examining them; see `examine`."""
        for image in self.examine([(file, None) for file in files], channels):
            yield image if isinstance(image, str) else image.pixels

    def examine(
        self, files: Sequence[Named], channels: int | None, *, enough: int | None = None
    ) -> Iterator[Decoded | str]:
        """Decode files, one after the other, and examine those that are given with a name.

        Args:
            files: Contents of image files, as for `core.pixels.decode`, and their names.
            channels: Number of channels, as for `core.pixels.decode`.
            enough: Pixels of the shorter side that are enough, as there.

        Yields:
            For each file, in order: the image, its pixels valid until the next one is requested, or
            why decoding failed. A file is blamed for the end of a process only after a second try:
            if it exceeds the time limit, or kills a process that has seen no other file.

        Raises:
            InternalError: No process could be started.
        """
        if not HAS_LIMITS:
            for content, name in files:
                yield open_or_say(content, channels, name, enough=enough)
            return
        left = files
        while left:
            answer = self._ask(left, channels, enough)
            if isinstance(answer, Death):
                break
            yield from answer
            left = left[len(answer) :]
        for file in left:
            yield self._examine_alone(file, channels, enough)

    def _ask(
        self, files: Sequence[Named], channels: int | None, enough: int | None
    ) -> list[Decoded | str] | Death:
        # A process whose response was not read to its end must not get another request.
        process, self._process = self._process or _Process(self._limits), None
        answer = process.ask(files, channels, enough)
        self._process = None if isinstance(answer, Death) else process
        return answer

    def _examine_alone(
        self, file: Named, channels: int | None, enough: int | None
    ) -> Decoded | str:
        while True:
            is_fresh = self._process is None
            answer = self._ask([file], channels, enough)
            if not isinstance(answer, Death):
                return answer[0]
            if is_fresh or answer.is_late:
                return answer.reason

    def hang_up(self) -> None:
        """Close the process's input, so that it ends."""
        if self._process:
            self._process.hang_up()

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.end()
        self._process = None


@final
class Decoders:
    """A pool of decoders for several threads, as a context manager; one process per thread in use.

    Args:
        count: Number of threads.
        limits: Limits of each process.
    """

    def __init__(self, count: int, limits: Limits = DEFAULT) -> None:
        self._all = [Decoder(limits) for _ in range(count)]
        self._idle: LifoQueue[Decoder] = LifoQueue()

    def __enter__(self) -> Self:
        for decoder in self._all:
            self._idle.put(decoder)
        return self

    def __exit__(self, *_: object) -> None:
        for decoder in self._all:
            decoder.hang_up()
        for decoder in self._all:
            decoder.close()

    @contextlib.contextmanager
    def one(self) -> Iterator[Decoder]:
        """Lend a decoder to the calling thread, preferably one that is already running."""
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)
