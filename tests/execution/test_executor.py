"""Tests of `tunesmith.execution.executor`; test_executors.py has the laws of executors."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunesmith.execution import executor
from tunesmith.execution.executor import OUT_OF_MEMORY, Inline, Task, call

TASKS = Path(__file__).with_name("tasks.py")


def task(function: str, **arguments: object) -> Task:
    return Task(key=function, function=f"{TASKS}:{function}", arguments=arguments, deadline_s=60)


def test_a_call_gives_a_value_and_its_time() -> None:
    outcome = call(task("double", x=2))
    assert (outcome.key, outcome.value, outcome.failed) == ("double", 4, None)
    assert outcome.seconds >= 0


def test_importing_what_a_task_needs_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, loaded = tmp_path / "slow.py", tmp_path / "loaded"
    path.write_text(
        f"from pathlib import Path\nPath({str(loaded)!r}).touch()\ndef nothing(): ...\n"
    )
    clock = SimpleNamespace(monotonic=lambda: 100.0 * loaded.exists())  # so long does it load
    monkeypatch.setattr(executor, "time", clock)
    outcome = call(replace(task("double", x=2), needs=[f"{path}:nothing"]))
    assert (outcome.value, outcome.seconds) == (4, 0.0)


def test_what_a_task_raises_is_its_outcome() -> None:
    outcome = call(task("raises"))
    assert outcome.failed == "It raised ValueError: no such luck."
    assert 'raise ValueError("no such luck")' in outcome.details
    assert call(task("leaves")).failed == "It ended its process (sys.exit(3))."
    assert "no function `missing`" in str(call(task("missing")).failed)
    assert "not JSON serializable" in str(call(task("cannot_be_sent")).failed)


def test_what_it_says_is_shortened_and_the_details_have_all_of_it() -> None:
    outcome = call(task("says", text=f"begin {'x' * 5_000_000} end"))
    reason = str(outcome.failed)
    assert reason.startswith("It raised ValueError: begin xxx")
    assert reason.endswith("xxx end.")
    assert len(reason) < 1_100
    assert "x" * 5_000_000 in outcome.details


def test_what_has_no_text_is_told_by_its_name() -> None:
    outcome = call(task("is_speechless"))
    assert outcome.failed == "It raised Speechless, whose text cannot be read (AttributeError)."
    assert "raise Speechless" in outcome.details


def test_what_it_says_can_be_written_whatever_it_is() -> None:
    outcome = call(task("says", text="no file caf\udce9.jpg"))
    assert outcome.failed == r"It raised ValueError: no file caf\udce9.jpg."
    assert r"caf\udce9.jpg" in outcome.details
    outcome.details.encode()


@pytest.mark.parametrize("how", ["python", "system", "processor", "cuda", "c++"])
def test_memory_may_run_out_in_several_ways(how: str) -> None:
    outcome = call(task("runs_out", how=how))
    assert outcome.failed == OUT_OF_MEMORY
    assert "in runs_out" in outcome.details  # which says what it was


def test_inline_tasks_run_when_asked_for() -> None:
    inline = Inline()
    inline.submit(task("double", x=1))
    inline.submit(task("double", x=2))
    first = inline.next_done(0.0)
    assert first is not None
    assert first.value == 2
    inline.cancel()
    assert inline.next_done(0.0) is None
