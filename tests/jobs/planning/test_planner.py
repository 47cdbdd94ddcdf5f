"""Tests of `tunesmith.jobs.planning.planner`; test_search.py extends a whole run."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.core.space import Field, Int
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families
from tunesmith.jobs.planning.planned import Planned
from tunesmith.jobs.planning.planner import (
    look,
    plan_run,
    plan_words,
    record_plan,
    refuse_other_space,
)
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.search import FOLDER
from tunesmith.jobs.search.search_setup import remember
from tunesmith.jobs.search.space import training_space
from tunesmith.records.events import SessionStarted, SliceDone

SessionIn = Callable[..., AbstractContextManager[Session]]
GIVEN: dict[str, Any] = {"model": "convnet", "params": {"width": 8}}
HOURS = 100 * 3600  # far more than such a network needs, however slow the machine is


@pytest.fixture
def source() -> Source:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8)).astype(np.uint8)
    return open_source((pixels, np.arange(300) % 2))


def planned(session: Session, source: Source, *, extended: bool = False) -> Planned:
    families, machine = find_families(session.settings), measure(session.folder)
    return plan_run(session, source, families, machine, extended=extended)


@pytest.fixture
def run(session_in: SessionIn, source: Source, tmp_path: Path) -> Path:
    """A run that is planned without a search, however fast the machine is."""
    with pytest.MonkeyPatch.context() as patch, session_in(tmp_path, budget=20, **GIVEN) as opened:
        patch.setattr("tunesmith.plan.search.SEARCH_FROM", 1e9)
        record_plan(opened, planned(opened, source))
    return tmp_path


def test_a_larger_budget_adds_a_search_that_later_sessions_keep(
    session_in: SessionIn, source: Source, run: Path
) -> None:
    with session_in(run, budget=HOURS, **GIVEN) as session:
        assert planned(session, source).plans[0].search is None
        (more,) = planned(session, source, extended=True).plans
        assert more.search is not None
        assert more.reasons[-1].startswith("By now, the budget is 100 h 00 min. There is ")
    assert json.loads((run / "plan.json").read_text("utf-8"))["plans"]["convnet"]["search"]
    for extended in (False, True):
        with session_in(run, budget=HOURS, **GIVEN) as session:
            assert planned(session, source, extended=extended).plans == (more,)


def test_a_sample_is_kept_and_that_is_told_to_whoever_extends_the_run(
    session_in: SessionIn, source: Source, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch, session_in(tmp_path, budget=20, **GIVEN) as session:
        patch.setattr("tunesmith.plan.readable_images", lambda *_: 100)
        record_plan(session, planned(session, source))
        (note,) = session.journal.history.notes
    assert note.startswith("100 of 300 images are read, chosen at random")
    assert note.endswith(" is enough for all, with another --out: this run keeps its sample.")
    with session_in(tmp_path, budget=HOURS, **GIVEN) as session:
        assert planned(session, source).read == 100
        assert session.journal.history.notes == (note,)
        assert planned(session, source, extended=True).read == 100
        assert "keeps its sample, 100 of 300 images" in session.journal.history.notes[-1]


def test_a_larger_budget_keeps_the_network_and_that_is_told_once(
    session_in: SessionIn, source: Source, tmp_path: Path
) -> None:
    with session_in(tmp_path, budget=20, **GIVEN) as session:
        session.record(SessionStarted(budget=20.0))
        record_plan(session, planned(session, source))
        planned(session, source, extended=True)  # as by more trials
        assert not session.journal.history.notes
    for budget in (40, HOURS):
        with session_in(tmp_path, budget=budget, **GIVEN) as session:
            session.record(SessionStarted(budget=float(budget)))
            planned(session, source, extended=True)
            (note,) = session.journal.history.notes
    assert note == (
        "This run keeps what was chosen when its budget was 20.0 s, such as network, width, "
        "batch, augmentation and image size: with another --out, these are chosen for the larger "
        "one."
    )


def test_how_long_large_images_take_to_be_read_for_the_test_is_measured(
    session_in: SessionIn, tmp_path: Path
) -> None:
    x_NHWC = np.zeros((12, 300, 260, 3), np.uint8)
    with session_in(tmp_path, budget=20, **GIVEN) as session:
        machine = measure(session.folder)
        large, small = (
            look(open_source((x, np.arange(12) % 2)), session.settings, machine, session.clock)[1]
            for x in (x_NHWC, x_NHWC[:, :200, :200])
        )
    assert large.again_per_s is not None
    assert large.again_per_s > 0
    assert small.again_per_s is None


def test_what_a_network_has_had_counts_and_no_search_is_not_remembered(
    session_in: SessionIn, source: Source, run: Path
) -> None:
    with session_in(run, budget=HOURS, **GIVEN) as session:
        done = SliceDone(
            trial="convnet, fold 1", begin=0, end=8, seconds=HOURS, checkpoint="", rows=()
        )
        session.record(done)
        before = session.journal.history.plan
        (more,) = planned(session, source, extended=True).plans
        assert more.search is None
        assert "3 times what the recipe has had" in more.reasons[-1]
        assert session.journal.history.plan == before


def test_whoever_wants_no_search_gets_none(
    session_in: SessionIn, source: Source, run: Path
) -> None:
    with session_in(run, budget=HOURS, trials=0, **GIVEN) as session:
        plans = planned(session, source, extended=True).plans
        assert plans == planned(session, source).plans
        assert plans[0].search is None


def test_what_was_expected_of_the_first_budget_is_told_with_that_one(
    session_in: SessionIn, source: Source, tmp_path: Path
) -> None:
    with session_in(tmp_path, budget=20, **GIVEN) as session:
        session.record(SessionStarted(budget=20.0))
        first = planned(session, source)
        record_plan(session, first)
        *_, expected = plan_words(session, first.plans[0])
    assert expected.startswith("Expected: finished after ")
    former = expected.replace("Expected:", "Expected when the budget was 20.0 s:")
    with session_in(tmp_path, budget=HOURS, **GIVEN) as session:
        session.record(SessionStarted(budget=HOURS))
        more = planned(session, source, extended=True)
        record_plan(session, more)  # as if a search had been added
        *_, told = plan_words(session, more.plans[0])
    assert told == former


def test_a_search_goes_on_around_whichever_plan_it_was_begun_but_in_its_space_alone(
    session_in: SessionIn, source: Source, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir()
    with session_in(tmp_path, budget=20, model="convnet") as session:
        first = planned(session, source)
        (family,), (plan,) = first.families, first.plans
        alone = plan.model_copy(update={"params": {"width": 9}})
        record_plan(session, replace(first, alone=alone))
        past, settings = session.journal.history, session.settings

    def begin(**changes: Any) -> None:
        for chosen in (plan, alone):
            space = training_space(family, chosen, settings)
            search: Any = SimpleNamespace(space={**space, **changes}, horizon=25, sign=1)
            remember(tmp_path / FOLDER, search)
            refuse_other_space(tmp_path, past, settings)

    refuse_other_space(tmp_path, past, settings)  # there is none
    begin()
    told = r"\(old: 1 in Int\(low=0, high=2, log=False\) there, nothing here\) by another version"
    with pytest.raises(RunFolderError, match=told):
        begin(old=Field(Int(0, 2), 1))
