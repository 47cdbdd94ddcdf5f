"""Functions that tests run in worker processes."""

import contextlib
import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tunesmith.core.errors import LimitError

KEPT: list[bytearray] = []


def double(x: float) -> float:
    print("this goes to the log")  # noqa: T201 (that is what is tested)
    return 2 * x


def same(x: Any) -> Any:
    return x


def prints(text: str) -> int:
    print(text, end="")  # noqa: T201 (that is what is tested)
    return os.getpid()


def prints_until(text: str, path: str) -> None:
    """Print as fast as possible until there is such a file."""
    while not Path(path).exists():
        print(text)  # noqa: T201 (that is what is tested)


def raises() -> None:
    raise ValueError("no such luck")


def says(text: str) -> None:
    raise ValueError(text)


class Speechless(Exception):  # noqa: N818 (it is what it says)
    """One whose text cannot be read."""

    def __str__(self) -> str:
        raise AttributeError("no text")


def is_speechless() -> None:
    raise Speechless


def is_over_a_limit() -> None:
    raise LimitError("7 ms")


def keeps(count: int) -> int:
    KEPT.append(bytearray(count))
    return os.getpid()


def leaves() -> None:
    sys.exit(3)


def vanishes() -> None:
    os._exit(4)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashes() -> None:
    print("so does what precedes a crash")  # noqa: T201 (that is what is tested)
    ctypes.string_at(0)


def sleeps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def computes(seconds: float) -> float:
    """Use the processor for so long, in calls that let no other thread run."""
    ends = time.thread_time() + seconds
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    while time.thread_time() < ends:
        sum(range(1_000_000))
    sys.setswitchinterval(interval)
    return seconds


def stops() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def eats() -> int:
    return len(bytearray(1 << 30))


def cannot_be_sent() -> object:
    return object()


def reads() -> str:
    return sys.stdin.read()


def number() -> int:
    return os.getpid()


def has_a_child() -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"]).pid


def leaves_a_child(path: str) -> None:
    Path(path).write_text(str(has_a_child()))
    os._exit(4)


def forks(how: str, path: str) -> int:
    """Leave a child that comes back as this process does, or fails, once there is such a file."""
    child = os.fork()
    if not child:
        waits_for(path)
        print("the child of a task")  # noqa: T201 (that is what is tested)
        if how != "returns":
            {"raises": raises, "leaves": leaves}[how]()
    return child


def releases(child: int, path: str) -> int:
    """Let such a child go on, and return the status with which it ended."""
    Path(path).touch()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def answers_itself(**line: Any) -> str:
    """Write a line to the pipe of the outcomes."""
    for descriptor in range(3, 16):
        with contextlib.suppress(OSError):
            os.write(descriptor, json.dumps(line).encode() + b"\n")
    return "its own"


def waits_for(path: str) -> bool:
    while not Path(path).exists():
        time.sleep(0.01)
    return True


def runs_out(how: str) -> None:
    """Say in one of the ways there are that memory ran out."""
    errors = {
        "python": MemoryError(),
        "system": OSError(errno.ENOMEM, "Cannot allocate memory"),
        "processor": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 GB"),
        "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        "c++": RuntimeError("std::bad_alloc"),
    }
    raise errors[how]
