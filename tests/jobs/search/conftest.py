"""A small search, as its parts are given one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.prepare import prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.shared import opened, share
from tunesmith.models.build import find_family
from tunesmith.plan import UNITS, Plan, SearchPlan
from tunesmith.training.config import TrainConfig
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.search import Search

SessionIn = Callable[..., AbstractContextManager[Session]]
JOB: dict[str, Any] = {"metric": "accuracy", "device": "cpu", "limit": {}, "threads": 1}
PLAN = Plan(
    size=(8, 8),
    params={"width": 8},
    train=TrainConfig(batch=32),
    threads=1,
    images_per_s=1000.0,
    answers_per_s=3000.0,
    horizon=1600,
    folds=5,
    train_s=2.0,
    passes=1,
    reread_s=0.0,
    reserve_s=1.0,
    finish_s=4.0,
    memory_bytes=1,
    disk_bytes=1,
    enough_s=None,
    reasons=(),
    search=SearchPlan(examples=1600, trials=None, workers=1),
)
SEARCH = Search(
    function="tunesmith.jobs.search.slices:train",
    space={},
    horizon=UNITS,
    sign=-1,
    sampler=RandomSampler(),
    scheduler=FULL,
    block=1,
    trials=None,
    units=None,
    seed=0,
)


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory, session_in: SessionIn) -> Candidate:
    """Return a network that is planned for some digits."""
    run = tmp_path_factory.mktemp("planned")
    digits = open_source("digits")
    source = open_source((np.stack([digits.read(i) for i in range(400)]), digits.labels[:400]))
    looked = sample(source, count=100, seed=0, threads=1)
    with session_in(run) as session:
        data, machine = fingerprint(source, looked), measure(run)
        prepared = prepare(session, source, data, machine, size=(8, 8), depth=Depth.EXACT)
    return Candidate(prepared=prepared, family=find_family("convnet"), chosen=PLAN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, candidate: Candidate) -> Iterator[Path]:
    """The folder of a search on some digits, without its first fold."""
    run, prepared = tmp_path_factory.mktemp("run"), candidate.prepared
    rest, held = prepared.without_fold(0)
    share(run / "data", candidate, rest, held, **JOB)
    before = (run / "data" / "job.json").stat().st_mtime_ns
    share(run / "data", candidate, rest, held, **JOB)
    assert (run / "data" / "job.json").stat().st_mtime_ns == before
    found = opened(run / "data")
    assert found.data.x_NCHW[: len(rest)].equal(rest.x_NCHW[rest.rows])
    assert found.data.y_N[: len(rest)].equal(rest.y_N[rest.rows])
    assert found.x_NCHW.equal(prepared.part(held)[0])
    assert found.data.normalize.mean.equal(rest.normalize.mean)
    yield run
    opened.cache_clear()
