"""Where work runs: the seam, and its simplest filling."""

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

LOADED = "loaded"  # what a process says once it has loaded what a task needs
# Why a task failed: since memory ran out, or perhaps for that.
OUT_OF_MEMORY, KILLED = "It ran out of memory.", "Its process was ended by SIGKILL"
# How a RuntimeError says it; torch's own class for it is not known here.
FULL = ("allocate memory", "out of memory", "not enough memory", "bad_alloc")


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """A call of a function that another process can find.

    Attributes:
        key: Names the task in its outcome.
        function: As in `load_function`.
        arguments: By name; JSON values.
        needs: Further functions that it will load; the seconds of that are not counted.
        deadline_s: Seconds after which it is given up, once all that it needs is loaded.
        whole_s: Seconds after which it is given up in any case; loading counts.
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
        key: The task's.
        value: What the function gave, a JSON value; None if it failed.
        seconds: That it took.
        failed: Why it failed, in words; None if it did not.
        details: The traceback, if there is one.
        is_late: Whether it failed since it was not over by its deadline.
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
        """How many tasks run at the same time."""
        ...

    def submit(self, task: Task) -> None:
        """Begin a task; at most `workers` may be under way."""
        ...

    def next_done(self, timeout_s: float) -> Outcome | None:
        """Wait for a task to end; None if none has by then."""
        ...

    def cancel(self) -> None:
        """Give up all that is under way, without outcomes."""
        ...


def load(task: Task) -> None:
    """Load what a task needs; what fails here fails again in `call`, which tells it."""
    with contextlib.suppress(Exception, SystemExit):
        for name in (task.function, *task.needs):
            load_function(name)


def call(task: Task) -> Outcome:
    """Run a task here and now; what it raises becomes its outcome."""
    began = time.monotonic()
    try:
        function, *_ = [load_function(name) for name in (task.function, *task.needs)]
        began = time.monotonic()
        value = function(**task.arguments)
        json.dumps(value)  # what is no JSON value does not reach the other process
    except SystemExit as error:
        failed, details = f"It ended its process (sys.exit({error.code!r})).", _details(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the task's outcome)
        failed, details = _reason(error), _details(error)
    else:
        return Outcome(key=task.key, value=value, seconds=time.monotonic() - began)
    return Outcome(key=task.key, seconds=time.monotonic() - began, failed=failed, details=details)


def raised(kind: type[BaseException]) -> str:
    """How the reason begins of a task that raised an error of this very kind.

    Example:
        >>> raised(ValueError)
        'It raised ValueError:'

    """
    return f"It raised {kind.__name__}:"


def _reason(error: Exception) -> str:
    """Why a task failed that raised something."""
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

    There is nobody who could end a task: its deadline is not kept.
    """

    workers = 1

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Keep a task for later; see `Executor`."""
        self._tasks.append(task)

    def next_done(self, timeout_s: float) -> Outcome | None:  # noqa: ARG002 (part of the protocol)
        """Run the next task; see `Executor`."""
        return call(self._tasks.popleft()) if self._tasks else None

    def cancel(self) -> None:
        """Forget what was not run yet; see `Executor`."""
        self._tasks.clear()
