"""A process that decodes images under limits, and dies of an image that exceeds them.

    python -m tunesmith.data.worker FD MEMORY CPU_S WALL_S

`tunesmith.data.decoder` starts it. A request arrives on standard input: a line of JSON, such as
``{"channels": 1, "sizes": [317, 402]}``, and the bytes of the files. The response goes to standard
output: a line of JSON with each image's shape, or why decoding failed. The pixels are consecutive
in the memory shared through the file descriptor FD; if they do not all fit, the response covers
only the first files. An empty response at the start signals that the process is ready.
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

import numpy as np

from tunesmith.core.pixels import decode_or_say
from tunesmith.data.decoder import FULL, ROOM, Pixels

SLACK = 0.01  # share of its time limit that an image may lose to those before it
Answer = list[tuple[int, ...] | str]


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


def fill(
    room: Pixels, files: Sequence[bytes], channels: int | None, *, cpu_s: float, wall_s: float
) -> Answer:
    """Decode files into shared memory until it is full."""
    answer: Answer = []
    used, due = 0, 0.0
    for file in files:
        if used > FULL:
            break
        if (now := time.monotonic()) >= due:  # two system calls per image would cost time
            set_alarms(cpu_s, wall_s)
            due = now + SLACK * cpu_s
        image = decode_or_say(file, channels)
        if isinstance(image, str):
            answer.append(image)
            continue
        room[used : used + image.size] = image.reshape(-1)
        used += image.size
        answer.append(image.shape)
    set_alarms(0, 0)
    return answer


def main(fd: int, memory: int, cpu_s: float, wall_s: float) -> None:
    """Respond to requests until there are no more."""
    room = np.frombuffer(mmap.mmap(fd, ROOM), np.uint8)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):  # decoders write useless messages there
        os.dup2(nowhere, stream.fileno())
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)  # the default: terminate
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(memory)

    def tell(answer: Answer) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    tell([])
    while line := requests.readline():
        request = json.loads(line)
        files = [requests.read(size) for size in request["sizes"]]
        tell(fill(room, files, request["channels"], cpu_s=cpu_s, wall_s=wall_s))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
