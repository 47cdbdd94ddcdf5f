"""Tests of `tunesmith.jobs.training.race`: two real networks on real digits."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.core.clock import Clock
from tunesmith.core.errors import LimitError, OutOfMemoryError, SettingsError, UserError
from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning import decide
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.planning.planned import Planned
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.given import PRETRAINED, SCRATCH
from tunesmith.jobs.run.heads import Heads
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.stored import read_checkpoint, write_checkpoint
from tunesmith.jobs.run.trial import Trial
from tunesmith.jobs.training.race import _times, race
from tunesmith.models import efficientnet_lite
from tunesmith.models.build import Family
from tunesmith.plan import Probed, Speed
from tunesmith.records.events import SliceDone

GIVEN: dict[str, Any] = {"budget": 60, "train": {"augmentation": {}}}
SETTINGS = Settings.make(GIVEN)
SessionIn = Callable[..., AbstractContextManager[Session]]


@pytest.fixture(scope="module")
def digits() -> Source:
    """Half of the digits: so few that there are folds."""
    whole = open_source("digits")
    pixels = np.stack([whole.read(i) for i in range(900)])
    return open_source((pixels, whole.labels[:900]))


@pytest.fixture(scope="module")
def planned(digits: Source, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    looked = sample(digits, count=500, seed=0, threads=2)
    machine = measure(tmp_path_factory.mktemp("disk"))
    return plan_all(
        SETTINGS,
        looked,
        fingerprint(digits, looked),
        find_families(SETTINGS),
        machine=machine,
        clock=Clock(budget=60),
    )


def candidates(session: Session, source: Source, planned: Planned) -> list[Candidate]:
    prepared = prepare(
        session,
        source,
        planned.data,
        measure(session.folder),
        size=planned.size,
        depth=planned.depth,
    )
    return [
        Candidate(prepared=as_expected(prepared, family), family=family, chosen=chosen)
        for family, chosen in zip(planned.families, planned.plans, strict=True)
    ]


def test_where_a_pretrained_network_begins_is_a_checkpoint_like_others(
    session_in: SessionIn, digits: Source, planned: Planned, tmp_path: Path
) -> None:
    """A search is handed it as a file."""
    with session_in(tmp_path, **GIVEN) as session:
        pretrained = candidates(session, digits, planned)[1]
        begun = pretrained.begin(pretrained.prepared.train)
    write_checkpoint(tmp_path / "start", begun)
    again = read_checkpoint(tmp_path / "start")
    torch.testing.assert_close(dict(again.network), dict(begun.network), rtol=0, atol=0)
    torch.testing.assert_close(dict(again.average), dict(begun.network), rtol=0, atol=0)


def test_both_are_planned_for_images_of_one_size(planned: Planned) -> None:
    scratch, pretrained = planned.plans
    assert [family.name for family in planned.families] == [SCRATCH, PRETRAINED]
    assert scratch.size == pretrained.size == (8, 8)
    assert "width" in scratch.params
    assert pretrained.params == {"resolution": 64}
    assert pretrained.train.optimizer == "adamw"
    again = Planned.restored(planned.stored(), SETTINGS)
    assert again == planned
    # Less budget, as on a session that goes on, would choose one network; what was planned stays.
    shorter = Settings.make({"budget": 10})
    assert Planned.restored(planned.stored(), shorter).families == planned.families


@pytest.fixture
def _threads() -> Iterator[None]:
    """On a clock that is not the processor's, a training looks starved, and tries fewer threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(("value", "better"), [(0.99, SCRATCH), (0.15, PRETRAINED)])
def test_the_better_one_on_unseen_images_goes_on(
    session_in: SessionIn,
    digits: Source,
    planned: Planned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    value: float,
    better: str,
) -> None:
    told = {SCRATCH: value, PRETRAINED: 0.6}  # however well they learn in so short a time

    def validate(self: Candidate, *_: Any) -> Callable[[object], dict[str, float]]:
        return lambda _weights: {"accuracy": told[self.name], "log_loss": 1.0}

    monkeypatch.setattr(Candidate, "validate", validate)
    monkeypatch.setattr(Heads, "score", lambda *_: 0.6)
    now = iter(range(10**9))  # every look at the clock takes a tenth of a second
    counted = {**GIVEN, "now": lambda: next(now) / 10}
    with session_in(tmp_path, **counted) as session:
        both = candidates(session, digits, planned)
        (winner,) = race(session, both, Probed(accuracy=None))
        history = session.journal.history
        assert history.chosen is not None
        heats = {name: history.trials[f"{name}, fold 1"] for name in (SCRATCH, PRETRAINED)}
        assert all(heat.seen > 0 and heat.ended is None for heat in heats.values())
        assert {name: heat.blocks[-1].metrics["accuracy"] for name, heat in heats.items()} == told
        assert winner.name == better
        assert f"{SCRATCH} {100 * value:.1f} % right" in history.chosen.reason
        assert f"{winner.name} goes on" in history.chosen.reason
    with session_in(tmp_path, **counted) as session:  # as after a kill: nothing is raced twice
        before = session.journal.history
        (again,) = race(session, candidates(session, digits, planned), Probed(accuracy=None))
        assert again.name == winner.name
        assert session.journal.history.trials == before.trials


def test_a_heat_that_is_over_does_not_go_on_after_a_kill(
    session_in: SessionIn,
    digits: Source,
    planned: Planned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor is its accuracy taken for that after a shorter training."""

    left_s: list[tuple[str, float]] = []

    def trained_for(session: Session, heat: Trial) -> None:
        """Record that a heat took as long as it may; the process is killed before the second."""
        left_s.append((heat.name, seconds := heat.pause_at - session.clock.elapsed()))
        if PRETRAINED in heat.name:
            raise KeyboardInterrupt
        if seconds > 0:
            done = SliceDone(
                trial=heat.name, begin=0, end=512, seconds=seconds, checkpoint="", rows=()
            )
            session.record(done)

    monkeypatch.setattr("tunesmith.jobs.training.race.run_trial", trained_for)
    for _ in range(2):
        with (
            session_in(tmp_path, now=lambda: 0.0, **GIVEN) as session,
            pytest.raises(KeyboardInterrupt),
        ):
            race(session, candidates(session, digits, planned), Probed(accuracy=None))
    first, second, *again = left_s
    assert min(first[1], second[1]) > 0
    assert again == [(f"{SCRATCH}, fold 1", 0.0), second]


def test_what_is_learned_in_seconds_needs_no_race(
    session_in: SessionIn, digits: Source, planned: Planned, tmp_path: Path
) -> None:
    with session_in(tmp_path, **GIVEN) as session:
        (winner,) = race(session, candidates(session, digits, planned), Probed(accuracy=0.95))
        history = session.journal.history
        assert winner.name == SCRATCH
        assert history.chosen is not None
        assert (
            "95.0 % right, so features learned from photographs were not" in history.chosen.reason
        )
        assert not history.trials


def test_few_right_answers_are_no_proof(
    session_in: SessionIn, digits: Source, planned: Planned, tmp_path: Path
) -> None:
    with session_in(tmp_path, **GIVEN) as session:
        probed = Probed(accuracy=1.0, images=4)
        (winner,) = race(session, candidates(session, digits, planned), probed)
        history = session.journal.history
        assert winner.name == PRETRAINED
        assert history.chosen is not None
        assert "from scratch 100.0 % of only 4 images, so that was" in history.chosen.reason


def test_what_is_hopeless_from_scratch_is_not_tried_further(
    session_in: SessionIn, digits: Source, planned: Planned, tmp_path: Path
) -> None:
    with session_in(tmp_path, **GIVEN) as session:
        (winner,) = race(
            session, candidates(session, digits, planned), Probed(accuracy=0.1, images=100)
        )
        history = session.journal.history
        assert winner.name == PRETRAINED
        assert history.chosen is not None
        assert "from scratch 10.0 %, so that was not tried further" in history.chosen.reason
        assert not history.trials


def test_many_images_and_little_time_are_left_to_one_network(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4000, 8, 8)).astype(np.uint8)
    source = open_source((pixels, np.arange(4000) % 2))
    monkeypatch.setattr(Heads, "score", lambda *_: 0.8)
    with session_in(tmp_path, **GIVEN) as session:
        looked, machine = sample(source, count=100, seed=0, threads=1), measure(tmp_path)
        data, families = fingerprint(source, looked), find_families(SETTINGS)
        both = plan_all(SETTINGS, looked, data, families, machine=machine, clock=session.clock)
        found = race(session, candidates(session, source, both), Probed(accuracy=0.7, images=200))
        assert [candidate.name for candidate in found] == [SCRATCH]
        history = session.journal.history
        assert history.chosen is not None
        assert history.chosen.reason.endswith(
            "takes a budget of 1 min 30 s or more, and it was 1 min 00 s when this was decided."
        )
        assert not history.trials


def test_features_that_do_not_fit_are_not_raced(
    session_in: SessionIn, digits: Source, planned: Planned, tmp_path: Path
) -> None:
    shuffled = dataclasses.replace(
        digits, labels=np.random.default_rng(0).permutation(digits.labels)
    )
    with session_in(tmp_path, **GIVEN) as session:
        (winner,) = race(session, candidates(session, shuffled, planned), Probed(accuracy=0.5))
        history = session.journal.history
        assert winner.name == SCRATCH
        assert history.chosen is not None
        assert "and a head on features learned from photographs only" in history.chosen.reason
        assert not history.trials


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, [SCRATCH, PRETRAINED]),
        ({"params": {"width": 16}}, [SCRATCH]),
        ({"params": {"resolution": 96}}, [PRETRAINED]),
        ({"params": {"dropout": 0.1}}, [SCRATCH, PRETRAINED]),
        ({"model": PRETRAINED, "budget": 10}, [PRETRAINED]),
    ],
)
def test_what_the_user_sets_is_kept(values: dict[str, Any], names: list[str]) -> None:
    found = find_families(Settings.make({"budget": 30, **values}))
    assert [family.name for family in found] == names


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"params": {"resolution": 1000}}, r"`resolution` must lie in .* but got 1000"),
        ({"params": {"width": 16, "resolution": 64}}, "`resolution` is not a parameter"),
        ({"train": {"layer_decayed": 1}}, "Did you mean `layer_decay`"),
        (
            {"train": {"layer_decay": 0.9}},
            "`train.layer_decay` is for sgd and adamw, but convnet is",
        ),
        ({"train": {"layer_decay": 3.0}}, r"`layer_decay` must lie in .* but got 3.0"),
        ({"train": {"augmentation": {"shift": 4}}}, r"`shift` must lie in .*0\.25.* but got 4\.0"),
        ({"train": {"augmentation": {"rotate": -1.0}}}, r"`rotate` must lie in .* but got -1\.0"),
    ],
)
def test_wrong_values_are_told_before_anything_is_measured(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        find_families(Settings.make({"budget": 30, **values}))


def test_an_optimizer_that_destroys_what_was_learned_is_told_before_anything_is_measured(
    digits: Source, tmp_path: Path
) -> None:
    looked = sample(digits, count=10, seed=0, threads=1)
    settings = Settings.make({"budget": 30, "model": PRETRAINED, "train": {"optimizer": "muon"}})
    with pytest.raises(SettingsError, match=r"network is adamw or sgd, but got 'muon', .* leave"):
        plan_all(
            settings,
            looked,
            fingerprint(digits, looked),
            find_families(settings),
            machine=measure(tmp_path),
            clock=Clock(budget=30),
        )


def test_without_weights_the_network_from_scratch_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "not_installed_anywhere")
    assert [family.name for family in find_families(SETTINGS)] == [SCRATCH]


@pytest.mark.parametrize("kind", [LimitError, OutOfMemoryError])
def test_a_network_that_is_left_alone_has_all_of_the_time(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[UserError]
) -> None:
    speeds = [
        Speed(
            width=width,
            size=(8, 8),
            channels_last=True,
            images_per_s=rate,
            answers_per_s=3 * rate,
            parameters=1000,
            activation_bytes=1000,
        )
        for width, rate in ((8, 3300), (16, 1300), (32, 400), (64, 117))
    ]
    too_large: set[str] = set()

    def within(_settings: Settings, _data: Fingerprint, family: Family, *_: Any, **__: Any) -> Any:
        if family.name in too_large:
            raise kind("It is too large.")
        return speeds

    monkeypatch.setattr(decide, "measure_speeds", lambda *_args, **_options: speeds)
    monkeypatch.setattr(decide, "within", within)
    settings, looked = Settings.make({"budget": 1800}), sample(digits, count=50, seed=0, threads=1)
    plan = functools.partial(
        plan_all,
        settings,
        looked,
        fingerprint(digits, looked),
        find_families(settings),
        machine=measure(tmp_path),
        clock=Clock(budget=1800, now=lambda: 0.0),
    )
    both = plan()
    assert both.alone is not None
    assert both.alone.params["width"] == 64 > both.plans[0].params["width"]
    too_large.add(PRETRAINED)
    one = plan()
    assert [family.name for family in one.families] == [SCRATCH]
    (left,) = one.plans
    assert left.reasons == (f"{PRETRAINED} is left out. It is too large.", *both.alone.reasons)
    assert left.model_copy(update={"reasons": both.alone.reasons}) == both.alone
    assert one.alone is None
    too_large.add(SCRATCH)
    with pytest.raises(kind):
        plan()


def test_a_heat_is_short_but_not_over_even_if_there_is_no_time_left(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    """A training that is over for good could not go on in the tenth that is trained in any case."""
    candidate: Any = SimpleNamespace(chosen=SimpleNamespace(reserve_s=6.0))
    now = itertools.chain([0.0], itertools.repeat(29.0))
    with session_in(tmp_path, now=now.__next__, budget=30) as session:
        finish_at, heat_s = _times(session, candidate)
    assert finish_at == 29.0 + 3.0
    assert heat_s == pytest.approx(0.3)
