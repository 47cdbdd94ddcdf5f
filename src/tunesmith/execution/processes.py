"""Worker processes: a task that hangs, crashes or exhausts memory costs only its own time."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import final

from tunesmith.core.cores import cores
from tunesmith.core.errors import SettingsError
from tunesmith.core.words import duration
from tunesmith.execution.executor import LOADED, Failure, Outcome, Task

# -P: a file beside the user's, such as queue.py, must not shadow a module of Python's own. Where
# this process finds modules is passed on, its own folder too if it is part of that.
COMMAND = (sys.executable, "-P", "-m", "tunesmith.worker")
SILENCE_S = 60.0  # without a heartbeat, after which a process is watched
WATCHED = 1 / 6  # share of that, in which its processor time must grow, or it is killed
KILLED_S = 5.0  # within which a killed process has ended, unless the kernel holds it
LOADING_S = 300.0  # limit for loading what a task needs, which does not count for its deadline
LOG_BYTES = 10_000_000  # of a log file, beyond which its end is put aside, and the rest is lost
PIECE = 1 << 16  # bytes read at once
WORKERS_MOST = 8  # most processes that train at the same time, unless the user sets a number
_HELD: list["subprocess.Popen[bytes]"] = []  # killed processes that have not ended yet


@final
class Processes:
    """Runs tasks in worker processes, which are reused unless a task failed or wants a new one.

    They start on demand, with this process's ``sys.path`` and environment (and their share of the
    cores, unless ``OMP_NUM_THREADS`` is set). However this process ends, they end as soon as their
    task lets another thread run.

    Args:
        workers: Number of processes.
        memory_bytes: Memory limit of each, where the system has such limits; None for no limit.
        log: Log file of what the tasks print; once it is large, its end is moved to a file whose
            name ends with ``.old``.
        silence_s: Seconds without a heartbeat, after which a process is watched, and killed unless
            it computes, where the system tells.

    Raises:
        SettingsError: This is Windows.
    """

    def __init__(
        self,
        workers: int,
        *,
        memory_bytes: int | None = None,
        log: Path,
        silence_s: float = SILENCE_S,
    ) -> None:
        if sys.platform == "win32":
            raise SettingsError(
                "A search runs in worker processes that are watched and ended as groups, which "
                "Windows does not have. Run it under Linux, such as in WSL, or macOS."
            )
        self.workers = workers
        self._memory_bytes = memory_bytes
        self._log = log
        self._silence_s = silence_s
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def submit(self, task: Task) -> None:
        """Begin a task; see `Executor`."""
        assert len(self._busy) < self.workers, "every worker has a task"
        _put_aside(self._log)
        if task.is_fresh and self._idle:
            self._idle.pop().end()  # to make room for another one
        can_reuse = self._idle and not task.is_fresh
        worker = self._idle.pop() if can_reuse else self._started()
        if not worker.begin(task):  # its process has ended meanwhile
            worker = self._started()
            worker.begin(task)
        self._busy.append(worker)

    def next_done(self, timeout_s: float) -> Outcome | None:
        """Wait for a task to end, and kill those that exceed their limits; see `Executor`."""
        _put_aside(self._log)
        ends, wait_s = time.monotonic() + timeout_s, 0.0
        while self._busy:
            # First without waiting: a task must not seem late only because its output was not read.
            self._listen(wait_s)
            for worker in self._busy:
                if outcome := worker.outcome(self._silence_s):
                    self._busy.remove(worker)
                    # What a failure left (a broken device, threads, memory) ends with the process.
                    if outcome.failed is None and not worker.is_silent:
                        self._idle.append(worker)
                    else:
                        worker.end()
                    return outcome
            left = ends - time.monotonic()
            if left <= 0:
                return None
            limits = [worker.left_s(self._silence_s) for worker in self._busy]
            wait_s = max(0.0, min(left, *limits))
        return None

    def _listen(self, wait_s: float) -> None:
        """Read what the processes wrote; wait for it for ``wait_s`` at most."""
        with selectors.DefaultSelector() as selector:
            for worker in self._busy:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            for key, _ in selector.select(wait_s):
                key.data.read()

    def cancel(self) -> None:
        """End every process; see `Executor`."""
        for worker in (*self._busy, *self._idle):
            worker.end()
        self._busy, self._idle = [], []
        _put_aside(self._log)

    def _started(self) -> "_Worker":
        _HELD[:] = [process for process in _HELD if process.poll() is None]
        threads = str(max(1, cores() // self.workers))
        # The user's environment takes precedence.
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        # Like Python itself, leave out what is no text, such as a `Path`.
        paths = [path for path in sys.path if isinstance(path, str)]
        environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in paths)
        with self._log.open("ab") as log:
            return _Worker(
                subprocess.Popen(  # noqa: S603 (this interpreter, and what it was called with)
                    [*COMMAND, str(self._memory_bytes or 0), *sys.argv],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # only this process handles Ctrl-C
                )
            )


@final
class _Worker:
    """One process, and its current task.

    Args:
        process: A process that was just started.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self.output = process.stdin, process.stdout
        self._read = b""
        self._task: Task | None = None
        self._key = ""  # of the current task as the process knows it, and of no other one
        self._given = self._began = self._heard = time.monotonic()
        self._worked: int | None = None  # see `_ticks`, when it was first missed
        self._has_loaded = False
        self.is_silent = False  # it closed its output: it has ended, or soon will

    def begin(self, task: Task) -> bool:
        """Send a task to the process; False if it has ended."""
        self._task, self._key, self._has_loaded = task, uuid.uuid4().hex, False
        self._given = self._began = self._heard = time.monotonic()
        try:
            line = json.dumps(asdict(replace(task, key=self._key)))
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except OSError:
            self.end()
            return False
        return True

    def read(self) -> None:
        """Read what the process wrote."""
        piece = os.read(self.output.fileno(), PIECE)
        self._read += piece
        self._heard, self.is_silent, self._worked = time.monotonic(), not piece, None

    def _may_compute(self, silence_s: float) -> bool:
        """Whether it may compute, though it is not heard, as in a call that Python waits for.

        It is watched for a while before that is denied. Where nothing is known, it may.
        """
        before, now = self._worked, _ticks(self._process.pid)
        if before is None or now is None:
            self._worked, pause_s = now, WATCHED * silence_s
        else:
            self._worked, pause_s = None, silence_s
        self._heard = time.monotonic() - silence_s + pause_s
        return before is None or now is None or now > before

    def left_s(self, silence_s: float) -> float:
        """Seconds until the task exceeds one of its limits."""
        assert self._task is not None
        ends = min(self._began + self._limit_s(), self._heard + silence_s)
        return ends - time.monotonic()

    def _limit_s(self) -> float:
        """Seconds that the task may take; until it is loaded, seconds that loading may take.

        It is never more than what is left of the task's total time.
        """
        assert self._task is not None
        limit_s = self._task.deadline_s if self._has_loaded else LOADING_S
        left_s = self._task.whole_s - (self._began - self._given)
        return max(0.0, min(limit_s, left_s))

    def outcome(self, silence_s: float) -> Outcome | None:
        """Return how the task ended; None while it has not."""
        assert self._task is not None
        *lines, self._read = self._read.split(b"\n")
        for line in lines:
            if line == LOADED.encode():
                self._began, self._has_loaded = time.monotonic(), True
            elif line.startswith(b"{"):  # an empty line is a heartbeat; Python may print others
                outcome = Outcome(**json.loads(line))
                if outcome.key == self._key:  # what a task started may have the pipe, and use it
                    return replace(outcome, key=self._task.key)
        seconds = time.monotonic() - self._began
        failure: Failure
        if self.is_silent:
            status = self.end()
            failed, failure = _death(status), "killed" if status == -signal.SIGKILL else "ended"
        elif seconds >= self._limit_s():
            self.end()
            what = "It" if self._has_loaded else "Importing what it needs"
            failed = f"{what} was not over after {duration(self._limit_s())}, and was ended."
            failure = "late" if self._has_loaded else "unloaded"
        elif time.monotonic() - self._heard >= silence_s and not self._may_compute(silence_s):
            self.end()
            failed = f"It gave no sign of life for {duration(silence_s)}, and was ended."
            failure = "silent"
        else:
            return None
        return Outcome(key=self._task.key, seconds=seconds, failed=failed, failure=failure)

    def end(self) -> int:
        """Kill the process and all that it started; return its status.

        The kernel may hold it, such as while a network disk does not answer: then it ends later.
        """
        # Not once it was waited for: its id, which is its group's, may be reused by then.
        if self._process.returncode is None and self._process not in _HELD:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            try:
                self._process.wait(KILLED_S)
            except subprocess.TimeoutExpired:
                _HELD.append(self._process)
        with contextlib.suppress(OSError):
            self._input.close()
        self.output.close()
        return -signal.SIGKILL if (status := self._process.returncode) is None else status


def _put_aside(log: Path) -> None:
    """Move the end of a log file that has grown large to another file, and empty it.

    It is not renamed, since processes go on writing to it. What they write meanwhile is lost.
    """
    with contextlib.suppress(OSError):  # there is none yet, or no space
        if log.stat().st_size > LOG_BYTES:
            with log.open("r+b") as file:
                file.seek(-LOG_BYTES, os.SEEK_END)
                log.with_name(f"{log.name}.old").write_bytes(file.read(LOG_BYTES))
                file.truncate(0)


def _ticks(process: int) -> int | None:
    """Processor time that a process has used, in the system's unit; None where it is unknown."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2]
    except OSError:  # there is no /proc on macOS
        return None
    user, system = fields.split()[11:13]
    return int(user) + int(system)


def _death(status: int) -> str:
    """Explain why a process ended unexpectedly.

    Example:
        >>> _death(-11), _death(3)
        ('Its process was ended by SIGSEGV.', 'Its process ended with status 3.')
        >>> _death(-9)
        'Its process was ended by SIGKILL, perhaps by the system for want of memory.'

    """
    if status >= 0:
        return f"Its process ended with status {status}."
    name = signal.Signals(-status).name
    why = ", perhaps by the system for want of memory" if name == "SIGKILL" else ""
    return f"Its process was ended by {name}{why}."
