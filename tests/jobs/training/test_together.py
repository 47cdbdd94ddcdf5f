"""Tests of `tunesmith.jobs.training.together`: two real networks, one of them pretrained."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tunesmith import plan as planning
from tunesmith.bundle.predictor import Graph
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.closing.finish import hand_over
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.module import load_module
from tunesmith.jobs.run.prepare import as_expected, prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.training import together, untuned
from tunesmith.jobs.training.train import train_all, train_found
from tunesmith.records.events import SliceDone

BUDGET = 30.0
SessionIn = Callable[..., AbstractContextManager[Session]]


def ticks() -> Callable[[], float]:
    """Return a clock on which each look takes a twentieth of a second, on whatever machine."""
    looks = itertools.count()
    return lambda: next(looks) / 20


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """On a clock that is not the processor's, a training looks starved, and tries fewer threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def many_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The digits three times, differently bright: so many that some are held out."""
    digits = open_source("digits")
    x = np.stack([np.asarray(digits.read(i)) for i in range(len(digits.names))]).astype(np.float64)
    copies = [np.rint(x * factor).astype(np.uint8) for factor in (1.0, 0.9, 0.8)]
    return np.concatenate(copies), np.tile(digits.labels, 3)


def test_two_networks_answer_as_one(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From training to the bundle: what is handed over is what was chosen."""
    # The held-out images decide; that they decide for both is arranged here.
    monkeypatch.setattr(untuned, "is_better", lambda *_: False)
    losses = iter([0.5, 0.4, 0.4, 0.3])
    monkeypatch.setattr(
        together, "weighted_losses", lambda _metric, _logits, y_N: np.full(len(y_N), next(losses))
    )
    monkeypatch.setattr(together, "_is_no_worse", lambda *_: True)
    monkeypatch.setattr(planning, "TUNED", math.inf)  # however fast the machine is
    source, machine = open_source(many_digits()), measure(tmp_path)
    given: dict[str, Any] = {"budget": BUDGET, "train": {"augmentation": {}}}
    with session_in(tmp_path, now=ticks(), **given) as session:
        settings, journal = session.settings, session.journal
        looked = sample(source, count=300, seed=0, threads=2)
        planned = plan_all(
            settings,
            looked,
            fingerprint(source, looked),
            find_families(settings),
            machine=machine,
            clock=session.clock,
        )
        prepared = prepare(
            session, source, planned.data, machine, size=planned.size, depth=planned.depth
        )
        candidates = [
            Candidate(prepared=as_expected(prepared, family), family=family, chosen=chosen)
            for family, chosen in zip(planned.families, planned.plans, strict=True)
        ]
        fitted = train_all(session, candidates, extended=False)
        handed = hand_over(session, fitted, machine=machine)
        assert {"convnet", "efficientnet_lite0"} == set(journal.history.trials)
        assert "convnet and efficientnet_lite0 answer together" in journal.history.notes[-1]
    model = handed.manifest.model
    assert model.family == "ensemble"
    assert [m["family"] for m in model.config["members"]] == ["convnet", "efficientnet_lite0"]
    assert handed.tested.score.value > 2 * handed.majority  # however slow the machine is
    assert handed.verified.agreement == 1.0
    images = prepared.loaded.pixels[:16]
    with torch.no_grad():
        rebuilt = load_module(tmp_path / "bundle")(torch.from_numpy(images)).numpy()
    graph = Graph(tmp_path / "bundle" / "model.onnx", threads=2)
    np.testing.assert_allclose(rebuilt, graph.probabilities(images), atol=1e-4)


def test_the_better_one_answers_alone_where_that_is_better(
    session_in: SessionIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.5, 0.2, 0.2, 0.3])
    monkeypatch.setattr(
        together, "weighted_losses", lambda _metric, _logits, y_N: np.full(len(y_N), next(losses))
    )
    source, machine = open_source(many_digits()), measure(tmp_path)
    given: dict[str, Any] = {"budget": 8, "model": "convnet", "train": {"augmentation": {}}}
    with session_in(tmp_path, now=ticks(), **given) as session:
        settings, journal = session.settings, session.journal
        looked = sample(source, count=300, seed=0, threads=2)
        families = find_families(settings)
        data = fingerprint(source, looked)
        planned = plan_all(settings, looked, data, families, machine=machine, clock=session.clock)
        prepared = prepare(
            session, source, planned.data, machine, size=planned.size, depth=planned.depth
        )
        first = Candidate(prepared=prepared, family=families[0], chosen=planned.plans[0])
        second = dataclasses.replace(first, family=dataclasses.replace(families[0], name="other"))
        fitted = train_all(session, [first, second], extended=False)
        assert "other answers alone" in journal.history.notes[-1]
    assert [member.name for member in fitted.members] == ["other"]


@pytest.mark.parametrize(("sign", "members"), [(1, (0, 1)), (-1, (1,))])
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_networks_that_are_worse_together_by_the_metric_do_not_answer_together(
    monkeypatch: pytest.MonkeyPatch, metric: str, sign: int, members: tuple[int, ...]
) -> None:
    """However much better their probabilities are: the user asked for the metric."""
    losses = iter([0.5, 0.4, 0.4, 0.3])
    monkeypatch.setattr(
        together, "weighted_losses", lambda _metric, _logits, y_N: np.full(len(y_N), next(losses))
    )
    y_N = np.arange(40) % 2
    z_NK = np.eye(2, dtype=np.float32)[y_N]
    monkeypatch.setattr(
        together, "averaged", lambda _logits, _by, some: sign * z_NK if len(some) > 1 else z_NK
    )
    candidates: Any = [SimpleNamespace(name=name, number=None) for name in ("one", "other")]
    choice = together.choose(candidates, [z_NK, z_NK], y_N, metric=metric, alone=False)
    assert choice.members == members


@pytest.mark.parametrize(("are_telling", "members"), [(True, (1,)), (False, (0,))])
def test_what_was_found_answers_alone_only_if_the_networks_tell_of_the_final_ones(
    members: tuple[int, ...], *, are_telling: bool
) -> None:
    y_N = np.arange(40) % 2
    right_NK = 8 * np.eye(2, dtype=np.float32)[y_N]
    wrong_NK = np.where(np.arange(40)[:, None] < 10, -right_NK, right_NK)
    plan, found = (SimpleNamespace(name=name, number=n) for name, n in (("a", None), ("b", 3)))
    logits, asked = [wrong_NK, right_NK], {"metric": "accuracy", "alone": True}
    choice = together.choose([plan, found], logits, y_N, **asked, are_telling=are_telling)  # type: ignore[list-item,arg-type]
    assert choice.members == members
    assert choice.chance is not None
    assert choice.chance < 0.05
    assert choice.is_brief is ("too little time to judge" in choice.reason) is not are_telling


def wrong_on(*rows: range, by: float = 8.0) -> NDArray[np.float32]:
    """Logits of 40 images of two classes, wrong on some of them."""
    z_NK = 8 * np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    for some in rows:
        z_NK[some] = by / 8 * z_NK[some][:, ::-1]
    return z_NK


@pytest.mark.parametrize(
    ("found", "members"),
    [
        (wrong_on(range(20), by=16.0), (0, 1)),
        (wrong_on(range(20, 30), by=1.0), (0, 1, 2)),
        (wrong_on(), (0, 1, 2)),  # no better than both
    ],
)
def test_the_networks_of_a_race_answer_together_whatever_a_search_finds(
    found: NDArray[np.float32], members: tuple[int, ...]
) -> None:
    y_N = np.arange(40) % 2
    candidates: Any = [
        SimpleNamespace(name=n, number=k) for n, k in (("a", None), ("b", None), ("c", 3))
    ]
    logits = [wrong_on(range(10), by=1.0), wrong_on(range(10, 20), by=1.0), found]
    choice = together.choose(candidates, logits, y_N, metric="accuracy", alone=False)
    assert choice.members == members
    names = " and ".join("abc"[n] for n in members)
    assert f" {names} answer" in choice.reason
    alone = together.choose(candidates, logits, y_N, metric="accuracy", alone=True)
    assert len(alone.members) == 1


@pytest.mark.parametrize(("finalists", "members"), [(1, (1,)), (3, (0,))])
def test_the_best_of_several_finalists_has_to_be_better_by_more(
    finalists: int, members: tuple[int, ...]
) -> None:
    """Wrong on 6 images of 40 and on none: of one config, that would be no chance (p = .03)."""
    y_N = np.arange(40) % 2
    candidates: Any = [SimpleNamespace(name=name, number=n) for name, n in (("a", None), ("b", 3))]
    logits, asked = [wrong_on(range(6)), wrong_on()], {"metric": "accuracy", "alone": True}
    choice = together.choose(candidates, logits, y_N, **asked, finalists=finalists)  # type: ignore[arg-type]
    assert choice.members == members
    assert choice.chance == pytest.approx(finalists * 2 / 2**6)
    told = {1: "p = 0.031. ", 3: "p = 0.094, as the best of 3 that were compared on them. "}
    assert f"Equally good ones would differ as much with {told[finalists]}" in choice.reason


@pytest.mark.parametrize(("finalists", "members"), [(1, (0, 1)), (10**9, (0,))])
def test_the_best_of_several_finalists_joins_if_the_loss_is_lower_by_more(
    finalists: int, members: tuple[int, ...]
) -> None:
    y_N = np.arange(40) % 2
    candidates: Any = [SimpleNamespace(name=name, number=n) for name, n in (("a", None), ("b", 3))]
    logits = [wrong_on(range(10), by=1.0), wrong_on(range(10, 20), by=1.0)]
    choice = together.choose(
        candidates, logits, y_N, metric="accuracy", alone=False, finalists=finalists
    )
    assert choice.members == members


def test_what_was_found_is_compared_with_the_networks_of_a_race_together() -> None:
    """It is better than each of them, but no better than both."""
    y_N = np.arange(40) % 2
    candidates: Any = [
        SimpleNamespace(name=n, number=k) for n, k in (("a", None), ("b", None), ("c", 3))
    ]
    logits = [wrong_on(range(10), by=1.0), wrong_on(range(10, 20), by=1.0), wrong_on(range(1))]
    choice = together.choose(candidates, logits, y_N, metric="accuracy", alone=False)
    assert choice.chance == 1.0
    assert set(choice.members) >= {0, 1}


@dataclasses.dataclass(frozen=True)
class Found:
    """What is looked at of a search: the networks that it found, and the best of them."""

    number: int | None
    names: tuple[str, ...] = ("a", "a 1", "a 2", "a 3")

    def tuned(self, candidate: Any, *, budget: float) -> Any:
        assert budget > 0
        return self.number and SimpleNamespace(name=f"{candidate.name} {self.number}")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("past", "number"), [({}, None), ({"a 2": 64}, 2), ({"a 1": 64, "a 2": 64, "a 3": 32}, 2)]
)
def test_once_interrupted_what_was_found_and_trained_before_is_compared(
    session_in: SessionIn, tmp_path: Path, past: dict[str, int], number: int | None, *, late: bool
) -> None:
    with session_in(tmp_path) as session:

        def train(found: Any) -> str:
            session.interrupted.set()
            if found.name not in past:
                trained(session, found.name, 8)
            return f"{found.name}, trained"

        for name, seen in {"a": 512, **past}.items():
            trained(session, name, seen)
        if late:
            session.interrupted.set()
        searched: Any = Found(number=3)
        candidate: Any = SimpleNamespace(name="a")
        searched, found = train_found(session, candidate, searched, train)
        if not late:  # then this one has begun, at least
            number = number or 3
        assert searched.number == (number or 3)
        assert (found and found[1]) == (number and f"a {number}, trained")


def trained(session: Session, name: str, seen: int) -> None:
    rows = ({"seen": float(seen)},)
    session.record(SliceDone(trial=name, begin=0, end=seen, seconds=1, checkpoint="", rows=rows))
