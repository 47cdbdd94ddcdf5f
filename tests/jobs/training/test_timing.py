"""Tests of `jobs.training.timing`."""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.prepare import prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.training.timing import (
    SLOWER_GRAPH,
    SLOWER_TOGETHER,
    deadlines,
    end_of_training,
)
from tunesmith.models.views import ALONE
from tunesmith.plan import VERIFIED
from tunesmith.records.events import BlockDone, Noted, SessionStarted, SliceDone

BUDGET, IMAGES = 1000, 3200


def test_time_is_kept_for_answers_at_the_speed_that_was_measured_last(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8)).astype(np.uint8)
    source = open_source((pixels, np.arange(IMAGES) % 2))
    with session_in(tmp_path, budget=BUDGET, model="convnet") as session:
        settings = session.settings
        looked, machine = sample(source, count=100, seed=0, threads=1), measure(tmp_path)
        data, families = fingerprint(source, looked), find_families(settings)
        planned = plan_all(settings, looked, data, families, machine=machine, clock=session.clock)
        prepared = prepare(session, source, data, machine, size=planned.size, depth=planned.depth)
        speeds = {"answers_per_s": 100.0, "images_per_s": 0.1}
        chosen = planned.plans[0].model_copy(update={**speeds, "passes": 1, "search": None})
        candidate = Candidate(prepared=prepared, family=families[0], chosen=chosen)
        split = prepared.split
        # Graph and network are compared on some images; the graph is slower.
        by_network = len(split.selection) + len(split.calibration) + VERIFIED
        by_graph = len(split.test) + VERIFIED
        asked = by_network + SLOWER_GRAPH * by_graph
        assert candidate.views == [ALONE]
        fixed_s = BUDGET - end_of_training(session, [candidate]) - asked / 100
        assert fixed_s == pytest.approx(6)
        # Told to be four times as fast in a race, it may train for longer.
        done = SliceDone(
            trial=candidate.name, begin=0, end=8, seconds=1, checkpoint="", rows=({"seen": 8.0},)
        )
        session.record(done)
        session.record(
            BlockDone(trial=candidate.name, at=8, metrics={"accuracy": 1, "answers_per_s": 400})
        )
        assert BUDGET - end_of_training(session, [candidate]) == pytest.approx(6 + asked / 400)
        other = replace(candidate, family=replace(families[0], name="other"))
        both_s = SLOWER_TOGETHER * (asked / 400 + asked / 100)
        assert BUDGET - end_of_training(session, [candidate, other]) == pytest.approx(6 + both_s)
        # A pretrained network's is not. Both are compared on the CPU, whose speed only the probe
        # knows if something else trains.
        learned: Any = SimpleNamespace()
        known = replace(candidate, family=replace(families[0], pretrained=learned))
        level_s = (by_network + by_graph + 2 * len(split.selection)) / 400
        assert BUDGET - end_of_training(session, [known]) == pytest.approx(10 + level_s)
        compute = replace(prepared.train.compute, device=torch.device("cuda"))
        elsewhere = replace(prepared, train=replace(prepared.train, compute=compute))
        on_cpu = by_graph + VERIFIED
        apart_s = on_cpu / 100 + (by_network - VERIFIED) / 400
        found = end_of_training(session, [replace(candidate, prepared=elsewhere)])
        assert BUDGET - found == pytest.approx(6 + apart_s)
        slow = replace(other, chosen=chosen.model_copy(update={"answers_per_s": 0.1}))
        assert end_of_training(session, [slow]) == BUDGET / 2


def test_a_little_is_trained_even_if_there_is_no_time_left(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    chosen = SimpleNamespace(reread_s=0.0, search=None, device_answers_per_s=1e9, passes=1)
    compute = SimpleNamespace(device=torch.device("cpu"))
    split = SimpleNamespace(selection=[], calibration=[], test=[], train=[])
    prepared = SimpleNamespace(split=split, train=SimpleNamespace(compute=compute))
    family = SimpleNamespace(pretrained=None)
    made: Any = SimpleNamespace(
        name="a", chosen=chosen, family=family, prepared=prepared, views=[ALONE]
    )
    now = itertools.chain([0.0], itertools.repeat(14.0))
    with session_in(tmp_path, now=now.__next__, budget=15) as session:
        assert end_of_training(session, [made]) == 14.0 + 1.5
        had(session, "a", 0.5)  # as in a race
        had(session, "b", 4.0)  # and what it was raced against
        assert end_of_training(session, [made]) == 14.0 + 1.0
        had(session, "a, fold 1", 1.0)
        assert end_of_training(session, [made]) == 15.0 - 3.0


def candidates(*names: str, is_searched: bool = False) -> list[Any]:
    """What is looked at of candidates to share out the time."""
    chosen = SimpleNamespace(search=object() if is_searched else None)
    return [SimpleNamespace(name=name, chosen=chosen) for name in names]


def had(session: Session, trial: str, seconds: float) -> None:
    """Record a training."""
    done = SliceDone(trial=trial, begin=0, end=8, seconds=seconds, checkpoint="", rows=())
    session.record(done)


def test_a_run_that_goes_on_shares_out_all_its_time(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    alone, both = candidates("a", is_searched=True), candidates("a", "b")
    with session_in(tmp_path, now=lambda: 0.0) as session:
        assert deadlines(session, alone, 300.0) == [100.0]
        assert deadlines(session, both, 300.0) == [150.0, 300.0]
        had(session, "a", 40.0)
        had(session, "a, fold 1", 20.0)
        # What was trained in a heat of this session is not set off.
        assert deadlines(session, alone, 300.0) == [100.0]
        for _ in range(2):
            session.record(SessionStarted(budget=1000))
        # 360 seconds in all; of its third, the network has had a half.
        assert deadlines(session, alone, 300.0) == [60.0]
        assert deadlines(session, both, 300.0) == [120.0, 300.0]
        # What an earlier search found was trained as well, and the search took time.
        had(session, "a 3", 60.0)
        session.journal.append(Noted(text=""), elapsed=0.0, phases={"search": 90.0})
        session.record(SessionStarted(budget=1000))
        assert deadlines(session, alone, 300.0) == [110.0]


def test_a_network_that_has_had_more_than_its_share_gets_no_more(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    with session_in(tmp_path, now=lambda: 0.0) as session:
        had(session, "a", 600.0)
        for _ in range(2):
            session.record(SessionStarted(budget=1000))
        assert deadlines(session, candidates("a", "b"), 300.0) == [0.0, 300.0]
