"""Worker process that runs tasks: `python -m tunesmith.worker BYTES ARGUMENTS`; see `Processes`.

Tasks arrive as lines of JSON on standard input; outcomes are written as lines of JSON to standard
output. There, an empty line is a heartbeat, and the line `LOADED` says that a task's functions are
imported. Tasks themselves have no standard input, and what they print goes to standard error. BYTES
is the memory limit of the process, 0 for none. ARGUMENTS are those of the program that started it,
whose script a task may have to read.

When its input closes, or nobody reads its output, that program is gone. The process then kills
itself and all that it started, even in the middle of a task.
"""

import contextlib
import io
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import IO, final

from tunesmith.execution.executor import LOADED, Task, call, load
from tunesmith.execution.limits import limit_memory

BEAT_S = 1.0


@final
class Answers:
    """Writes complete lines to a pipe, from any thread.

    Args:
        descriptor: File descriptor of the open pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, line: str) -> None:
        """Write a line, and flush it; end the process if nobody reads it."""
        try:
            with self._lock:
                self._file.write(line + "\n")
                self._file.flush()
        except BrokenPipeError:
            _end()


def _read(tasks: IO[str], waiting: "queue.SimpleQueue[Task]") -> None:
    """Queue incoming tasks; end the process when the input closes."""
    for line in tasks:
        waiting.put(Task(**json.loads(line)))
    _end()


def _end() -> None:
    """Kill this process, and its process group if it leads one."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _beat(answers: Answers) -> None:
    """Send heartbeats for as long as the process lives."""
    while True:
        answers.send("")
        time.sleep(BEAT_S)


def main() -> None:
    """Run tasks until the input ends."""
    tasks, answers = os.fdopen(os.dup(0), encoding="utf-8"), Answers(os.dup(1))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 (not a real file)
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    # A whole line at a time, and not what fills a buffer: a crash must not lose what preceded it.
    # Without any buffer, each part of a line would be written by itself.
    printed = sys.stdout
    assert isinstance(printed, io.TextIOWrapper)
    printed.reconfigure(line_buffering=True)
    limit, sys.argv = int(sys.argv[1]), sys.argv[2:]
    if limit:
        limit_memory(limit)
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks, waiting), daemon=True).start()
    threading.Thread(target=_beat, args=(answers,), daemon=True).start()
    while True:
        task = waiting.get()
        load(task)
        answers.send(LOADED)
        outcome = call(task)
        with contextlib.suppress(OSError, ValueError):  # the disk is full, or the task closed it
            printed.flush()  # what ends no line: the process may be killed from here on
        answers.send(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
