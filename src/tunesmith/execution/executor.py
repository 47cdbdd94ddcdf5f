"""The interface for running tasks, and its simplest implementation."""

import contextlib
import errno
import json
import math
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

from tunesmith.core.functions import load_function

LOADED = "loaded"  # sent by a process once it has loaded what a task needs
# Why a task failed: out of memory, or killed, perhaps for the same reason.
OUT_OF_MEMORY, KILLED = "It ran out of memory.", "Its process was ended by SIGKILL"
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
    """

    key: str
    function: str
    arguments: Mapping[str, Any]
    needs: Sequence[str] = ()
    deadline_s: float
    whole_s: float = math.inf


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended.

    Attributes:
        key: Key of the task.
        value: What the function returned, a JSON value; None if it failed.
        seconds: Duration in seconds.
        failed: Why it failed, in words; None if it did not.
        details: The traceback, if there is one.
        is_late: Whether it failed by exceeding its deadline.
    """

    key: str
    value: Any = None
    seconds: float
    failed: str | None = None
    details: str = ""
    is_late: bool = False


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
        value = function(**task.arguments)
        json.dumps(value)  # only JSON values reach the other process
    except SystemExit as error:
        failed, details = f"It ended its process (sys.exit({error.code!r})).", _details(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the task's outcome)
        failed, details = _reason(error), _details(error)
    else:
        return Outcome(key=task.key, value=value, seconds=time.monotonic() - began)
    return Outcome(key=task.key, seconds=time.monotonic() - began, failed=failed, details=details)


def raised(kind: type[BaseException]) -> str:
    """How the failure of a task begins that raised an exception of this very type.

    Example:
        >>> raised(ValueError)
        'It raised ValueError:'

    """
    return f"It raised {kind.__name__}:"


def _reason(error: Exception) -> str:
    """Explain the failure of a task that raised an exception."""
    is_system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    is_torch = isinstance(error, RuntimeError) and any(text in str(error) for text in FULL)
    if isinstance(error, MemoryError) or is_system or is_torch:
        return OUT_OF_MEMORY
    return f"{raised(type(error))} {error}"


def _details(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


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
