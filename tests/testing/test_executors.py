"""Tests of `tunesmith.testing.executors`: ours keep each law, and who breaks it is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import final

import pytest

from tunesmith.core.functions import load_function
from tunesmith.execution.executor import Executor, Inline, Outcome, Task
from tunesmith.execution.processes import Processes
from tunesmith.testing import executors as laws
from tunesmith.testing.contracts import EXECUTOR_LAWS


@pytest.mark.parametrize("law", EXECUTOR_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("workers", [0, 1, 2], ids=["inline", "one process", "two processes"])
def test_ours_are_executors(law: Callable[[Executor], None], workers: int, tmp_path: Path) -> None:
    executor = Processes(workers, log=tmp_path / "log") if workers else Inline()
    law(executor)
    executor.cancel()


@final
class Wrong:
    """Runs tasks as `Inline` does, but for one thing."""

    workers = 1

    def __init__(self, fault: str) -> None:
        self.inline = Inline()
        self.fault = fault
        self.last: Outcome | None = None

    def submit(self, task: Task) -> None:
        if self.fault == "raises":
            load_function(task.function)(**task.arguments)
        self.inline.submit(task)

    def next_done(self, timeout_s: float) -> Outcome | None:
        done = self.inline.next_done(timeout_s)
        if self.fault == "repeats":
            self.last = done or self.last
            return self.last
        if self.fault == "invents":
            return done or Outcome(key="", seconds=0.0)
        if done and self.fault == "shortens":
            return Outcome(key=done.key, value=json.loads(json.dumps(str(done.value))), seconds=0.0)
        if done and self.fault == "is silent":
            return Outcome(key=done.key, value=done.value, seconds=0.0)
        return done

    def cancel(self) -> None:
        if self.fault != "goes on":
            self.inline.cancel()


@pytest.mark.parametrize(
    ("law", "fault"),
    [
        (laws.every_task_ends_once, "repeats"),
        (laws.without_a_task_there_is_no_outcome, "invents"),
        (laws.values_arrive_whole, "shortens"),
        (laws.a_failure_is_an_outcome_and_the_next_task_runs, "is silent"),
        (laws.what_cannot_be_run_or_sent_is_an_outcome, "raises"),
        (laws.what_is_canceled_has_no_outcome, "goes on"),
    ],
)
def test_an_executor_that_breaks_a_law_is_found(
    law: Callable[[Executor], None], fault: str
) -> None:
    law(Wrong("none"))
    with pytest.raises((AssertionError, ValueError)):
        law(Wrong(fault))
