"""A process that runs tasks: `python -m tunesmith.worker BYTES ARGUMENTS`, started by `Processes`.

Tasks come in as lines of JSON on standard input, outcomes go out as lines of JSON on standard
output; an empty line says that the process is alive, and another that what a task needs is loaded.
The tasks themselves read nothing, and what they print goes to standard error. BYTES is the memory
that the process may hold, 0 for any. The arguments are those of the program that started it, whose
script a task may have to read.

When its input ends the process ends with all that it started, in the middle of a task too: whoever
started it is gone.
"""

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
    """Writes whole lines, whoever writes.

    Args:
        descriptor: Of the open pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, line: str) -> None:
        """Write a line, and wait until it is gone."""
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def _read(tasks: IO[str], waiting: "queue.SimpleQueue[Task]") -> None:
    """Queue the tasks that come in; end the process when no more can."""
    for line in tasks:
        waiting.put(Task(**json.loads(line)))
    _end()


def _end() -> None:
    """End this process, and all that it started where it leads a group of processes."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _beat(answers: Answers) -> None:
    """Say that the process is alive, for as long as it is."""
    while True:
        answers.send("")
        time.sleep(BEAT_S)


def main() -> None:
    """Run tasks until the input ends."""
    tasks, answers = os.fdopen(os.dup(0), encoding="utf-8"), Answers(os.dup(1))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 (not a real file)
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
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
        answers.send(json.dumps(asdict(call(task))))


if __name__ == "__main__":
    main()
