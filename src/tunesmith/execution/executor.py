"""The interface for running tasks, and its simplest implementation."""

import contextlib
import errno
import json
import math
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol, final

from tunesmith.core.errors import CodeChangedError, LimitError
from tunesmith.core.functions import load_function
from tunesmith.core.words import sentence, shortened, writable

LOADED = "loaded"  # sent by a process once it has loaded what a task needs
OUT_OF_MEMORY = "It ran out of memory."
TOLD = 1000  # characters of a reason, at most; what details there are have all of it
# Kind of a failure: the function raised an error, for want of memory, for a network that is over
# the user's limits, for code that was changed meanwhile, or another one; the process was killed
# (perhaps for want of memory), or ended otherwise; it gave no sign of life; it was not loaded in
# time, or it exceeded its deadline; its values were not finite.
Failure = Literal[
    "", "raised", "memory", "limit", "changed", "killed", "ended", "silent", "unloaded", "late",
    "diverged",
]  # fmt: skip
# Texts of an out-of-memory RuntimeError; torch's own class is not available here.
FULL = ("allocate memory", "out of memory", "not enough memory", "bad_alloc")


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """A call of a function that another process can import.

    Attributes:
        key: Identifies the task in its outcome.
        function: Reference to the function; see `load_function`.
        arguments: Keyword arguments, JSON values.
        needs: Further functions that it will load; loading does not count as its time.
        deadline_s: Time limit in seconds, once all functions are loaded.
        whole_s: Time limit in seconds that includes loading.
        is_fresh: Whether it needs a process in which nothing ran before.
    """

    key: str
    function: str
    arguments: Mapping[str, Any]
    needs: Sequence[str] = ()
    deadline_s: float
    whole_s: float = math.inf
    is_fresh: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended.

    Attributes:
        key: Key of the task.
        value: What the function returned, a JSON value; None if it failed.
        seconds: Duration in seconds.
        failed: Why it failed, in words; None if it did not.
        failure: Kind of the failure; empty if it did not fail.
        details: The traceback, if there is one.
    """

    key: str
    value: Any = None
    seconds: float
    failed: str | None = None
    failure: Failure = ""
    details: str = ""

    @property
    def is_late(self) -> bool:
        """Whether it failed by exceeding its deadline."""
        return self.failure == "late"


class Executor(Protocol):
    """Runs tasks, each exactly once."""

    @property
    def workers(self) -> int:
        """Number of tasks that can run at the same time."""
        ...

    def submit(self, task: Task) -> None:
        """Begin a task; at most `workers` may be running."""
        ...

    def next_done(self, timeout_s: float) -> Outcome | None:
        """Wait for a task to end; None if none has ended by then."""
        ...

    def cancel(self) -> None:
        """Cancel all running tasks, without outcomes."""
        ...


def load(task: Task) -> None:
    """Load what a task needs; an error is raised again in `call`, which reports it."""
    with contextlib.suppress(Exception, SystemExit):
        for name in (task.function, *task.needs):
            load_function(name)


def call(task: Task) -> Outcome:
    """Run a task in this process; an exception becomes its outcome."""
    began = time.monotonic()
    try:
        function, *_ = [load_function(name) for name in (task.function, *task.needs)]
        began = time.monotonic()
        with _ending_children():
            value = function(**task.arguments)
        json.dumps(value)  # only JSON values reach the other process
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever it is, it is the outcome)
        failed, failure = _reason(error)
        return Outcome(
            key=task.key,
            seconds=time.monotonic() - began,
            failed=shortened(writable(failed), TOLD),
            failure=failure,
            details=writable("".join(traceback.format_exception(error))),
        )
    return Outcome(key=task.key, value=value, seconds=time.monotonic() - began)


@contextlib.contextmanager
def _ending_children() -> Iterator[None]:
    """End a child that a block forked where the block ends: it must not go on as this process."""
    process = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != process:
            _end(error)
        raise
    if os.getpid() != process:
        _end(None)


def _end(error: BaseException | None) -> NoReturn:
    """End this process as Python would, but without what is to be done once for all processes."""
    code = error.code if isinstance(error, SystemExit) else error
    try:
        if error is not None and not isinstance(code, int | None):
            traceback.print_exception(error)
        sys.stdout.flush()
    finally:
        os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))


def _reason(error: Exception | SystemExit) -> tuple[str, Failure]:
    """Explain the failure of a task that raised an exception."""
    if isinstance(error, SystemExit):
        return f"It ended its process (sys.exit({error.code!r})).", "raised"
    if isinstance(error, CodeChangedError):
        return str(error), "changed"
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except Exception as broken:  # noqa: BLE001 (an error of the user's may fail in any way)
        text = f"{name}, whose text cannot be read ({type(broken).__name__})"
    is_system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    is_torch = isinstance(error, RuntimeError) and any(full in text for full in FULL)
    if isinstance(error, MemoryError) or is_system or is_torch:
        return OUT_OF_MEMORY, "memory"
    failure: Failure = "limit" if isinstance(error, LimitError) else "raised"
    return sentence(f"It raised {text}"), failure


@final
class Inline:
    """Runs tasks in this process, when asked for the next outcome.

    A task cannot be killed, so its deadline is not enforced.
    """

    workers = 1

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Queue a task; see `Executor`."""
        self._tasks.append(task)

    def next_done(self, timeout_s: float) -> Outcome | None:  # noqa: ARG002 (part of the protocol)
        """Run the next task; see `Executor`."""
        return call(self._tasks.popleft()) if self._tasks else None

    def cancel(self) -> None:
        """Discard the tasks that are queued; see `Executor`."""
        self._tasks.clear()
