"""A process that decodes and examines images under limits, and dies of one that exceeds them.

    python -m tunesmith.data.worker FD MEMORY CPU_S WALL_S

`tunesmith.data.decoder` starts it. A request arrives on standard input: a line of JSON, such as
``{"channels": 1, "sizes": [317, 402, 9], "names": ["a/1.png", "a/2.jpg", null]}``, and the bytes of
the files; those without a name are decoded only. The response goes to standard output: a line of
JSON, such as ``{"images": [[28, 28, 1, 0], [28, 28, 1, 0], "the PNG is damaged"], "examined":
[["PNG", [], []]]}``. It holds each image's shape and the index of its examination, or why decoding
failed; most files share one examination. The pixels are consecutive in the memory shared through
the file descriptor FD; if they do not all fit, the response covers only the first files. An empty
response at the start signals that the process is ready.
"""

import json
import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.data.decoder import FULL, ROOM, Named, Pixels, open_or_say
from tunesmith.data.examine import Examined

SLACK = 0.01  # share of its time limit that an image may lose to those before it
Answer = dict[str, list[Any]]
Numbers = dict[Examined | None, int]  # of examinations that differ


def limit_memory(memory: int) -> None:
    """Limit this process to ``memory`` bytes more than it has now, if the system reports that.

    Linux does. macOS does not enforce a limit on the memory of a process.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return
    most = pages * resource.getpagesize() + memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def set_alarms(cpu_s: float, wall_s: float) -> None:
    """Have the system kill this process after the given times; 0 s cancels that."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)


def confine(memory: int) -> None:
    """Silence this process, limit its memory, and have it die of `set_alarms` without a core."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):  # libraries write useless messages there
        os.dup2(nowhere, stream.fileno())
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)  # the default: terminate
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(memory)


def fill(
    room: Pixels,
    files: Sequence[Named],
    channels: int | None,
    *,
    enough: int | None,
    cpu_s: float,
    wall_s: float,
) -> Answer:
    """Decode files into shared memory until it is full, and examine those that have a name."""
    images: list[tuple[int, ...] | str] = []
    numbers: Numbers = {}
    used, due = 0, 0.0
    for file, name in files:
        if used > FULL:
            break
        if (now := time.monotonic()) >= due:  # two system calls per image would cost time
            set_alarms(cpu_s, wall_s)
            due = now + SLACK * cpu_s
        image = open_or_say(file, channels, name, enough=enough)
        if isinstance(image, str):
            images.append(image)
            continue
        pixels = image.pixels
        room[used : used + pixels.size] = pixels.reshape(-1)
        used += pixels.size
        number = numbers.setdefault(image.examined, len(numbers))
        images.append((*pixels.shape, *image.size, number))
    set_alarms(0, 0)
    return {
        "images": images,
        "examined": [None if each is None else each.as_list() for each in numbers],
    }


def main(fd: int, memory: int, cpu_s: float, wall_s: float) -> None:
    """Respond to requests until there are no more."""
    room = np.frombuffer(mmap.mmap(fd, ROOM), np.uint8)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    confine(memory)

    def tell(answer: Answer) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    tell({})
    while line := requests.readline():
        request = json.loads(line)
        files = [
            (requests.read(size), name)
            for size, name in zip(request["sizes"], request["names"], strict=True)
        ]
        how = {"enough": request["enough"], "cpu_s": cpu_s, "wall_s": wall_s}
        tell(fill(room, files, request["channels"], **how))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
