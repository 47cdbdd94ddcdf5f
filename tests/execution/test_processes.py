"""Tests of `tunesmith.execution.processes` and `tunesmith.worker`: every fault is a real one."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import PIPE
from typing import IO

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.execution import processes as module
from tunesmith.execution.executor import Executor, Outcome, Task
from tunesmith.execution.processes import Processes

TASKS = Path(__file__).with_name("tasks.py")
LONG_S = 600.0  # more than anything takes here, however slow the machine is


def task(function: str, *, deadline_s: float = LONG_S, **arguments: object) -> Task:
    name = f"{TASKS}:{function}"
    return Task(key=function, function=name, arguments=arguments, deadline_s=deadline_s)


def run(executor: Executor, *tasks: Task) -> list[Outcome]:
    """Run tasks, as many at a time as there are workers; return the outcomes as they come."""
    waiting, done = list(tasks), list[Outcome]()
    running = 0
    while waiting or running:
        while waiting and running < executor.workers:
            executor.submit(waiting.pop(0))
            running += 1
        outcome = executor.next_done(LONG_S)
        assert outcome is not None
        done.append(outcome)
        running -= 1
    return done


def state_of(number: int) -> str:
    """State of a process, as the system writes it: a zombie if there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def is_running(number: int) -> bool:
    return state_of(number) != "Z"


def wait_for_the_end_of(number: int) -> None:
    for _ in range(3000):
        if not is_running(number):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {number} still runs after five minutes")


def wait_until_loaded(processes: Processes) -> module._Worker:
    """Wait until the only task has loaded what it needs, and return the worker that runs it."""
    (worker,) = processes._busy
    while not worker._has_loaded:
        assert processes.next_done(0.1) is None
    return worker


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # most machines do not set it
    executor = Processes(1, log=tmp_path / "log", memory_bytes=600_000_000)
    yield executor
    executor.cancel()


@pytest.mark.parametrize(
    ("function", "failure", "reason"),
    [
        ("raises", "raised", "It raised ValueError: no such luck."),
        ("is_over_a_limit", "limit", "It raised LimitError: 7 ms."),
        ("leaves", "raised", "It ended its process (sys.exit(3))."),
        ("vanishes", "ended", "Its process ended with status 4."),
        ("is_killed", "killed", "Its process was ended by SIGKILL, perhaps by the system"),
        ("crashes", "ended", "Its process was ended by SIGSEGV."),
        ("eats", "memory", "It ran out of memory."),
    ],
)
def test_a_failure_is_an_outcome_and_the_next_task_runs(
    processes: Processes, function: str, failure: str, reason: str
) -> None:
    first, second = run(processes, task(function), task("double", x=2))
    assert first.key == function
    assert (first.failure, second.failure) == (failure, "")
    assert str(first.failed).startswith(reason)
    assert second.value == 4


def test_a_task_over_its_deadline_is_ended_with_all_that_it_started(processes: Processes) -> None:
    first, second = run(processes, task("sleeps", seconds=3600, deadline_s=1.0), task("same", x=1))
    assert first.failed == "It was not over after 1.0 s, and was ended."
    assert first.is_late
    assert second.value == 1


def test_a_process_without_a_sign_of_life_is_ended(tmp_path: Path) -> None:
    (outcome,) = run(Processes(1, log=tmp_path / "log", silence_s=2.0), task("stops"))
    assert outcome.failed == "It gave no sign of life for 2.0 s, and was ended."
    assert outcome.failure == "silent"


def test_a_call_that_python_waits_for_is_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(module, "_ticks", lambda _: next(looks))  # it computes at each look
    executor = Processes(1, log=tmp_path / "log", silence_s=0.2)
    (outcome,) = run(executor, task("computes", seconds=2))
    executor.cancel()
    assert (outcome.value, outcome.failed) == (2, None)
    assert next(looks) > 2  # it was watched, and more than once


def test_a_process_that_computes_is_told_from_one_that_waits() -> None:
    with subprocess.Popen(["cat"], stdin=PIPE) as waits:
        waits.send_signal(signal.SIGSTOP)
        os.waitpid(waits.pid, os.WUNTRACED)
        own, idle = (module._ticks(number) for number in (os.getpid(), waits.pid))
        ends = time.process_time() + 2
        while module._ticks(os.getpid()) == own and time.process_time() < ends:
            sum(range(1_000_000))
        own_later, idle_later = (module._ticks(number) for number in (os.getpid(), waits.pid))
        waits.kill()
    assert own is not None
    assert own_later is not None
    assert own_later > own
    assert idle_later == idle


def test_signs_of_life_are_no_outcomes(processes: Processes) -> None:
    (outcome,) = run(processes, task("sleeps", seconds=2.5))
    assert outcome.value == 2.5


def test_long_values_arrive_whole(processes: Processes) -> None:
    value = [float(n) for n in range(100_000)]
    (outcome,) = run(processes, task("same", x=value))
    assert outcome.value == value


def test_what_a_task_prints_goes_to_the_log_and_it_reads_nothing(
    processes: Processes, tmp_path: Path
) -> None:
    done = run(processes, task("double", x=1), task("reads"), task("crashes"))
    assert done[1].value == ""
    told = "this goes to the log\nso does what precedes a crash\n"
    assert told in (tmp_path / "log").read_text()


def test_of_a_log_that_has_grown_large_the_end_is_put_aside(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 4)
    log, old = tmp_path / "log", tmp_path / "log.old"
    for text, aside in (("ones", None), ("twice", "wice"), ("thrice", "rice")):
        log.write_text(text)
        run(processes, task("raises"))
        assert (old.read_text() if old.exists() else None) == aside
    first, second, third = run(
        processes, *(task("prints", text=text) for text in ("no", "three", "x"))
    )
    assert first.value == second.value == third.value  # one process, which goes on writing
    assert (log.read_text(), old.read_text()) == ("x", "hree")
    run(processes, task("prints", text="the last"))
    processes.cancel()
    assert (log.read_text(), old.read_text()) == ("", "last")


def test_a_log_stays_small_while_a_task_prints(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 100)
    old = tmp_path / "log.old"
    processes.submit(task("prints_until", text="x" * 100, path=str(tmp_path / "go")))
    while not old.exists():
        assert processes.next_done(0.1) is None
    (tmp_path / "go").touch()
    assert processes.next_done(LONG_S) is not None
    assert old.stat().st_size == 100


def test_a_process_is_used_again_and_replaced_when_it_was_killed(processes: Processes) -> None:
    first, second = (outcome.value for outcome in run(processes, task("number"), task("number")))
    assert first == second
    os.kill(first, signal.SIGKILL)
    wait_for_the_end_of(first)
    (third,) = run(processes, task("number"))
    assert third.value != first


def test_what_failed_leaves_nothing_to_the_next_task(processes: Processes) -> None:
    first, _, third = run(processes, task("number"), task("raises"), task("number"))
    assert first.value != third.value
    wait_for_the_end_of(first.value)


def test_a_task_may_need_a_process_in_which_nothing_ran_before(tmp_path: Path) -> None:
    executor = Processes(2, log=tmp_path / "log", memory_bytes=600_000_000)
    again = task("keeps", count=200_000_000)
    first, second = run(executor, again), run(executor, replace(again, is_fresh=True))
    assert first[0].value != second[0].value
    assert len(executor._idle) == 1  # the other one has made room
    outcomes = [run(executor, again)[0] for _ in range(3)]
    assert [outcome.failure for outcome in outcomes].count("memory") == 1
    assert run(executor, replace(again, is_fresh=True))[0].failed is None
    executor.cancel()


SLOW = """
import time
from pathlib import Path

def wait_for(name):
    while not Path(__file__).with_name(name).exists():
        time.sleep(0.01)

wait_for("load")

def answer():
    wait_for("answer")
    return 42
"""


def test_a_deadline_begins_when_all_is_loaded(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOADING_S", 2 * LONG_S)
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    slow = Task(key="slow", function=f"{script}:answer", arguments={}, deadline_s=LONG_S)
    processes.submit(slow)
    (worker,) = processes._busy
    assert processes.next_done(0.1) is None
    worker._began -= 1.1 * LONG_S  # as if it had been loading for so long
    assert processes.next_done(0.1) is None
    (tmp_path / "load").touch()
    wait_until_loaded(processes)
    assert processes.next_done(0.1) is None
    (tmp_path / "answer").touch()
    outcome = processes.next_done(LONG_S)
    assert outcome is not None
    assert (outcome.value, outcome.failed) == (42, None)


def test_a_task_may_be_given_so_much_time_in_all(processes: Processes, tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\ntime.sleep(3600)\ndef answer():\n    return 42\n")
    slow = Task(key="0", function=f"{script}:answer", arguments={}, deadline_s=LONG_S, whole_s=1.0)
    (loading,) = run(processes, slow)
    assert loading.failed == "Importing what it needs was not over after 1.0 s, and was ended."
    assert (loading.failure, loading.is_late) == ("unloaded", False)
    processes.submit(replace(task("sleeps", seconds=3600), whole_s=LONG_S))
    wait_until_loaded(processes)._given -= LONG_S  # as if loading had taken all of it
    working = processes.next_done(60.0)
    assert working is not None
    assert working.is_late


@pytest.mark.parametrize(("how", "status"), [("returns", 0), ("raises", 1), ("leaves", 3)])
def test_a_child_of_a_task_ends_where_the_task_does_and_answers_nothing(
    how: str, status: int, processes: Processes, tmp_path: Path
) -> None:
    path = str(tmp_path / "go")
    (first,) = run(processes, task("forks", how=how, path=path))
    (second,) = run(processes, task("releases", child=first.value, path=path))
    assert (second.key, second.value) == ("releases", status)
    log = (tmp_path / "log").read_text()
    assert log.count("the child of a task") == 1
    assert ("no such luck" in log) == (how == "raises")


def test_an_outcome_of_another_task_is_none(processes: Processes) -> None:
    name = "answers_itself"
    stray = task(name, key=name, value="a stray one", seconds=0.0)
    first, second = run(processes, stray, task("double", x=1))
    assert (first.key, first.value) == (name, "its own")
    assert (second.key, second.value) == ("double", 2)


def test_a_file_beside_the_users_hides_no_module_of_pythons(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('not the one that was meant')\n")
    (tmp_path / "of_this_folder.py").write_text("def answer():\n    return 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*filter(None, sys.path), ""])
    mine = Task(key="0", function="of_this_folder:answer", arguments={}, deadline_s=LONG_S)
    (outcome,) = run(processes, mine)
    assert (outcome.value, outcome.failed) == (42, None)


def unread(output: IO[bytes]) -> int:
    """How many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(output, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_what_is_over_before_anybody_looks_is_not_late(
    processes: Processes, tmp_path: Path
) -> None:
    processes.submit(task("waits_for", path=str(tmp_path / "go")))
    worker, seen = wait_until_loaded(processes), 0
    (tmp_path / "go").touch()
    for _ in range(6000):
        if (waiting := unread(worker.output)) > seen + 70:  # the outcome; a sign of life is a byte
            break
        seen = waiting
        time.sleep(0.1)
    worker._began -= 2 * LONG_S  # over its deadline, and silent for long
    worker._heard -= 2 * LONG_S
    outcome = processes.next_done(0.0)
    assert outcome is not None
    assert (outcome.value, outcome.failed) == (True, None)


DRIVER = f"""
import sys
import termios
from pathlib import Path
from subprocess import PIPE
from typing import IO
from tunesmith.execution.executor import Task
from tunesmith.execution.processes import Processes
executor = Processes(1, log=Path(sys.argv[1]))
def task(name, **arguments):
    function = {str(TASKS)!r} + ":" + name
    return Task(key=name, function=function, arguments=arguments, deadline_s=3600)
for name in ("number", "has_a_child"):
    executor.submit(task(name))
    print(executor.next_done(3600).value, flush=True)
executor.submit(task("sleeps", seconds=3600))
executor.next_done(3600)
"""


def test_workers_and_all_that_they_started_end_with_the_process_that_started_them(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "log")]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    worker, child = (int(driver.stdout.readline()) for _ in range(2))
    assert is_running(child)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    wait_for_the_end_of(worker)
    wait_for_the_end_of(child)


def test_a_worker_whose_answers_nobody_reads_ends_with_all_that_it_started() -> None:
    worker = subprocess.Popen(
        [*module.COMMAND, "0"], stdin=PIPE, stdout=PIPE, text=True, start_new_session=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(json.dumps(asdict(task("has_a_child"))), file=worker.stdin, flush=True)
    answer = next(line for line in worker.stdout if line.startswith("{"))
    child = int(json.loads(answer)["value"])
    assert is_running(child)
    worker.stdout.close()  # its input stays open: an answer may fail before it is seen to close
    worker.wait(LONG_S)
    wait_for_the_end_of(child)
    worker.stdin.close()


def test_cancel_ends_what_a_task_started(processes: Processes) -> None:
    (outcome,) = run(processes, task("has_a_child"))
    assert is_running(outcome.value)
    processes.cancel()
    wait_for_the_end_of(outcome.value)


def test_what_a_task_started_ends_with_a_worker_that_died(
    processes: Processes, tmp_path: Path
) -> None:
    path = tmp_path / "child"
    (outcome,) = run(processes, task("leaves_a_child", path=str(path)))
    assert outcome.failed == "Its process ended with status 4."
    wait_for_the_end_of(int(path.read_text()))


@pytest.mark.parametrize("failure", ["late", "killed"])
def test_a_process_that_the_kernel_holds_costs_its_task_alone_and_is_reaped_later(
    failure: str, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KILLED_S", 0.1)
    processes.submit(task("stops"))
    worker = wait_until_loaded(processes)
    while state_of(worker._process.pid) != "T":
        assert processes.next_done(0.1) is None
    assert processes.next_done(0.1) is None  # nothing is left to read
    if failure == "late":
        worker._began -= LONG_S
    worker.is_silent = failure == "killed"
    with monkeypatch.context() as held:
        held.setattr(os, "killpg", lambda *_: None)
        outcome = processes.next_done(0.0)
    assert outcome is not None
    assert outcome.failure == failure
    (process,) = module._HELD
    assert run(processes, task("double", x=2))[0].value == 4
    assert process in module._HELD
    os.killpg(process.pid, signal.SIGKILL)
    wait_for_the_end_of(process.pid)
    assert run(processes, replace(task("double", x=2), is_fresh=True))[0].value == 4
    assert module._HELD == []
    assert process.returncode == -signal.SIGKILL


def test_loading_has_a_limit_of_its_own(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOADING_S", 0.5)
    script = tmp_path / "hangs.py"
    script.write_text("import time\ntime.sleep(3600)\ndef answer(): ...\n")
    (outcome,) = run(
        processes, Task(key="0", function=f"{script}:answer", arguments={}, deadline_s=3600.0)
    )
    assert outcome.failed == "Importing what it needs was not over after 0.5 s, and was ended."


def test_what_python_prints_when_it_starts_is_no_answer(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('site', flush=True)")
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path, tmp_path])
    assert run(processes, task("double", x=2))[0].value == 4


def test_what_is_silent_may_compute_where_nobody_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ticks", lambda _: None)
    executor = Processes(1, log=tmp_path / "log", silence_s=0.2)
    (outcome,) = run(executor, task("stops", deadline_s=3.0))
    assert outcome.failure == "late"
    executor.cancel()


def test_windows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SettingsError, match=r"which Windows does not have\. Run it under Linux"):
        Processes(1, log=tmp_path / "log")
