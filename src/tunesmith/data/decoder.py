"""Decode files that nobody vouches for: in processes with limits, so that a file can only end one.

Under Windows, which has no such limits, files are decoded in this very process, without any.
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
from importlib.util import find_spec
from queue import LifoQueue
from typing import IO, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import InternalError
from tunesmith.core.pixels import ALPHA, MOST_PIXELS, decode_or_say

Pixels = NDArray[np.uint8]
FULL = 32_000_000  # bytes of pixels from which on no further image is put into one answer
ROOM = FULL + ALPHA * MOST_PIXELS  # bytes shared with a process; pages never used cost nothing
PATIENCE = 5.0  # seconds that a process has to end by itself
HAS_LIMITS = find_spec("resource") is not None
WORKER = "tunesmith.data.worker"
ENVIRONMENT = {  # of a process: one thread; glibc keeps what is freed, for the next image
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"),
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "100000000",
}


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What decoding one image may take.

    Attributes:
        memory: Bytes beside those that the process has from the start. Held to under Linux alone.
        cpu_s: Seconds of computing.
        wall_s: Seconds, in case it does not even compute; many, as the machine may be busy.
    """

    memory: int = 40 * MOST_PIXELS
    cpu_s: float = 10.0
    wall_s: float = 300.0


DEFAULT = Limits()


@final
@dataclass(frozen=True, kw_only=True)
class Death:
    """A process ended before it answered.

    Attributes:
        reason: Why, as it is told of the file that it was decoding.
        is_late: Whether its time was over.
    """

    reason: str
    is_late: bool = False


def _death(status: int, limits: Limits) -> Death:
    """What an exit status, negative if a signal ended the process, means."""
    if status == -signal.SIGPROF:
        return Death(reason=f"decoding it needed more than {limits.cpu_s:g} s", is_late=True)
    if status == -signal.SIGALRM:
        return Death(reason=f"decoding it took more than {limits.wall_s:g} s", is_late=True)
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return Death(reason=f"it crashed the decoder ({how})")


def _shared_file() -> IO[bytes]:
    """A file without a name; in memory, where the system has such files."""
    is_linux = sys.platform == "linux"
    return open(os.memfd_create("pixels"), "r+b") if is_linux else tempfile.TemporaryFile()  # noqa: PTH123 (a descriptor; closed by who asks)


@final
class _Process:
    """A running process, and the memory that it shares with this one.

    Raises:
        InternalError: It did not start.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        with _shared_file() as shared:
            shared.truncate(ROOM)
            self._room = np.frombuffer(mmap.mmap(shared.fileno(), ROOM), np.uint8)
            numbers = shared.fileno(), limits.memory, limits.cpu_s, limits.wall_s
            self._popen = subprocess.Popen(  # noqa: S603 (this Python, and a module of ours)
                # -P: modules come from where ours come from, never from the folder we are in.
                [sys.executable, "-P", "-m", WORKER, *map(str, numbers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(shared.fileno(),),
                process_group=0,  # Ctrl-C is meant for this process
                env=os.environ
                | ENVIRONMENT
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
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

    def ask(self, files: Sequence[bytes], channels: int | None) -> list[Pixels | str] | Death:
        """Have files decoded.

        Returns:
            For the first of them or all, as many as there is room for, the pixels, which are there
            until the next call; or why there are none.
        """
        request = json.dumps({"channels": channels, "sizes": [len(file) for file in files]})
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(b"".join([request.encode(), b"\n", *files]))
            self._requests.flush()
            answer = self._answers.readline()
        if not answer:
            return _death(self.end(), self._limits)
        images: list[Pixels | str] = []
        used = 0
        for item in json.loads(answer):
            if isinstance(item, str):
                images.append(item)
            else:
                size = math.prod(item)
                images.append(self._room[used : used + size].reshape(item))
                used += size
        return images

    def hang_up(self) -> None:
        """Let it end."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()

    def end(self) -> int:
        """Make it end; returns its exit status, negative if a signal ended it."""
        self.hang_up()
        self._answers.close()
        try:
            return self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()


@final
class Decoder:
    """A process that decodes: started when it is first needed, and again after it died."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._process: _Process | None = None

    def decode(self, files: Sequence[bytes], channels: int | None) -> Iterator[Pixels | str]:
        """Decode files, one after the other.

        Args:
            files: Whole image files, as for `core.pixels.decode`.
            channels: The same.

        Yields:
            For each, in their order, its pixels, which are there until the next one is asked for;
            or the reason why there are none. A file is to blame for the end of a process only if it
            is so again: its time is over, or it ends a process that has seen no other file.

        Raises:
            InternalError: No process could be started.
        """
        if not HAS_LIMITS:
            yield from (decode_or_say(file, channels) for file in files)
            return
        left = files
        while left:
            answer = self._ask(left, channels)
            if isinstance(answer, Death):
                break
            yield from answer
            left = left[len(answer) :]
        for file in left:
            yield self._decode_alone(file, channels)

    def _ask(self, files: Sequence[bytes], channels: int | None) -> list[Pixels | str] | Death:
        # A process whose answer is not waited for to its end must not be asked again.
        process, self._process = self._process or _Process(self._limits), None
        answer = process.ask(files, channels)
        self._process = None if isinstance(answer, Death) else process
        return answer

    def _decode_alone(self, file: bytes, channels: int | None) -> Pixels | str:
        while True:
            is_fresh = self._process is None
            answer = self._ask([file], channels)
            if not isinstance(answer, Death):
                return answer[0]
            if is_fresh or answer.is_late:
                return answer.reason

    def hang_up(self) -> None:
        """Let the process end."""
        if self._process:
            self._process.hang_up()

    def close(self) -> None:
        """Make the process end."""
        if self._process:
            self._process.end()
        self._process = None


@final
class Decoders:
    """Decoders for several threads, as a context; a process is started for each thread that asks.

    Args:
        count: Of threads.
        limits: Of each process.
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
        """Lend a decoder to the thread that asks; one that is running already, if it can be."""
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)
