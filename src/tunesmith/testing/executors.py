"""Laws of every executor; `tunesmith.testing.contracts` says how tests of a new one run them."""

from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.core.errors import LimitError
from tunesmith.execution.executor import Executor, Outcome, Task

LONG_S = 600.0  # more than anything takes here, however slow the machine is
MANY, LARGE = 20, 300_000  # tasks; characters of a value that no pipe holds at once


def same(x: Any) -> Any:
    """Return what it was given: a task."""
    return x


def fails(how: str) -> object:
    """Fail in one of the ways that a search tells apart: a task."""
    match how:
        case "leaves":
            raise SystemExit(3)
        case "limit":
            raise LimitError("7 ms")
        case "memory":
            raise MemoryError
        case "no value":
            return object()
        case _:
            raise ValueError("no such luck")


def _task(key: str, function: Callable[..., Any] | str = same, **arguments: object) -> Task:
    name = function if isinstance(function, str) else function.__name__
    return Task(key=key, function=f"{__name__}:{name}", arguments=arguments, deadline_s=LONG_S)


def _run(executor: Executor, tasks: Sequence[Task]) -> list[Outcome]:
    """Run tasks, as many at a time as there are workers; return the outcomes as they come."""
    waiting, done, running = [*tasks], list[Outcome](), 0
    while waiting or running:
        while waiting and running < executor.workers:
            executor.submit(waiting.pop(0))
            running += 1
        outcome = executor.next_done(LONG_S)
        assert outcome is not None, f"none of {running} tasks ended in {LONG_S:.0f} s"
        done.append(outcome)
        running -= 1
    return done


def every_task_ends_once(executor: Executor) -> None:
    """Each task has one outcome with its key, its value and its time; then there is none."""
    assert executor.workers >= 1
    done = _run(executor, [_task(str(n), x=n) for n in range(MANY)])
    found = sorted((int(outcome.key), outcome.value) for outcome in done)
    assert found == [(n, n) for n in range(MANY)]
    assert all(outcome.failed is None and not outcome.failure for outcome in done)
    assert all(outcome.seconds >= 0 for outcome in done)
    assert executor.next_done(0.0) is None, "an outcome without a task"


def without_a_task_there_is_no_outcome(executor: Executor) -> None:
    """Who asks before there is a task is told so, and may go on."""
    assert executor.next_done(0.0) is None
    (outcome,) = _run(executor, [_task("first", x=1)])
    assert outcome.value == 1


def values_arrive_whole(executor: Executor) -> None:
    """JSON values come back as they are, whatever their length."""
    values: list[Any] = [None, 0.1, -1e300, {"a": [1, "ä\n", {}]}, "x" * LARGE, [1.5] * 1000]
    done = _run(executor, [_task(str(n), x=value) for n, value in enumerate(values)])
    assert {int(outcome.key): outcome.value for outcome in done} == dict(enumerate(values))


def a_failure_is_an_outcome_and_the_next_task_runs(executor: Executor) -> None:
    """Nothing that a function raises reaches the driver, which is told the kind and the reason."""
    kinds = {"leaves": "raised", "limit": "limit", "memory": "memory", "raises": "raised"}
    for how, failure in kinds.items():
        failed, after = (
            _run(executor, [task])[0] for task in (_task("a", fails, how=how), _task("b", x=1))
        )
        assert (failed.key, failed.value, failed.failure) == ("a", None, failure)
        assert failed.failed, "a reason is missing"
        assert (after.key, after.value, after.failed) == ("b", 1, None)
    (failed,) = _run(executor, [_task("a", fails, how="raises")])
    assert "no such luck" in str(failed.failed)
    assert "in fails" in failed.details, "the traceback is missing"


def what_cannot_be_run_or_sent_is_an_outcome(executor: Executor) -> None:
    """A missing function, and a value that is no JSON, fail their task alone."""
    missing, no_value, good = _by_key(
        _run(executor, [_task("1", "missing"), _task("2", fails, how="no value"), _task("3", x=1)])
    )
    assert (missing.value, no_value.value, good.value) == (None, None, 1)
    assert "`missing`" in str(missing.failed)
    assert no_value.failed, "a value that cannot be stored"


def _by_key(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.key)


def what_is_canceled_has_no_outcome(executor: Executor) -> None:
    """After `cancel`, nothing is left of the tasks before, and others can be run."""
    for number in range(executor.workers):
        executor.submit(_task(f"canceled {number}", x=number))
    executor.cancel()
    assert executor.next_done(0.0) is None, "an outcome of a task that was canceled"
    (outcome,) = _run(executor, [_task("after", x=1)])
    assert (outcome.key, outcome.value) == ("after", 1)
    executor.cancel()
    executor.cancel()  # a driver may end twice


EXECUTOR_LAWS: tuple[Callable[[Executor], None], ...] = (
    every_task_ends_once,
    without_a_task_there_is_no_outcome,
    values_arrive_whole,
    a_failure_is_an_outcome_and_the_next_task_runs,
    what_cannot_be_run_or_sent_is_an_outcome,
    what_is_canceled_has_no_outcome,
)
