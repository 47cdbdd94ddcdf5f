"""Tests of `tunesmith.jobs.train`: when training is over. That it trains, test_fit.py shows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.data.split import FOLDS
from tunesmith.execution.machine import measure
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.decide import find_families, plan_all
from tunesmith.jobs.prepare import prepare
from tunesmith.jobs.session import Session
from tunesmith.jobs.train import SLOWER_TOGETHER, end_of_training
from tunesmith.models.views import ALONE
from tunesmith.plan import VERIFIED
from tunesmith.records.events import BlockDone, SliceDone

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
        chosen = planned.plans[0].model_copy(update={"answers_per_s": 100.0, "passes": 1})
        candidate = Candidate(prepared=prepared, family=families[0], chosen=chosen)
        split = prepared.split
        asked = len(split.test) + len(split.selection) + len(split.calibration)
        asked += 2 * VERIFIED  # graph and network are compared on these
        asked += len(split.train) // FOLDS  # the last fold
        assert candidate.views == [ALONE]
        fixed_s = BUDGET - end_of_training(session, [candidate]) - asked / 100
        assert fixed_s == pytest.approx(5)
        # Told to be four times as fast in a race, it may train for longer.
        done = SliceDone(
            trial=candidate.name, begin=0, end=8, seconds=1, checkpoint="", rows=({"seen": 8.0},)
        )
        session.record(done)
        session.record(
            BlockDone(trial=candidate.name, at=8, metrics={"accuracy": 1, "answers_per_s": 400})
        )
        assert BUDGET - end_of_training(session, [candidate]) == pytest.approx(5 + asked / 400)
        other = replace(candidate, family=replace(families[0], name="other"))
        both_s = SLOWER_TOGETHER * (asked / 400 + asked / 100)
        assert BUDGET - end_of_training(session, [candidate, other]) == pytest.approx(5 + both_s)
        slow = replace(other, chosen=chosen.model_copy(update={"answers_per_s": 0.1}))
        assert end_of_training(session, [slow]) == BUDGET / 2
