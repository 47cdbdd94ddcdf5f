"""Tests of `tunesmith.tuning.running`."""

from dataclasses import replace
from pathlib import Path

from tunesmith.execution.executor import Outcome, Task
from tunesmith.records.events import SliceDone
from tunesmith.tuning.running import SLICE, Running

FOLDER = Path("trials/0003/00000008.part")
RUNNING = Running(trial=3, start=4, until=8, folder=FOLDER, is_cut=True, began_s=0.0)


def test_what_a_worker_is_told() -> None:
    task = RUNNING.task("train.py:train", {"lr": 0.1}, deadline_s=9.0, whole_s=20.0, is_fresh=True)
    arguments = {"function": "train.py:train", "config": {"lr": 0.1}, "folder": str(FOLDER)}
    assert task == Task(
        key="3",
        function=SLICE,
        arguments={**arguments, "start": 4, "until": 8, "code": None},
        needs=["train.py:train"],
        deadline_s=9.0,
        whole_s=20.0,
        is_fresh=True,
    )


def test_what_the_journal_is_told() -> None:
    outcome = Outcome(key="3", value=[0.5, 0.25], seconds=2.0)
    assert RUNNING.done(outcome) == SliceDone(
        trial="3",
        begin=4,
        end=8,
        seconds=2.0,
        checkpoint="8",
        rows=({"at": 6, "value": 0.5}, {"at": 8, "value": 0.25}),
    )


def test_only_what_had_too_little_time_and_ran_out_of_it_was_cut_short() -> None:
    late = Outcome(key="3", seconds=9.0, failed="It was slow.", failure="late")
    assert RUNNING.is_cut_short(late)
    assert not replace(RUNNING, is_cut=False).is_cut_short(late)
    assert not RUNNING.is_cut_short(replace(late, failure="raised"))
