"""Tests of `tunesmith.jobs.planning.decide`; test_race.py plans, and so does test_fit.py."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.settings import Settings
from tunesmith.data.augmentation import Augmentation
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.planning.decide import find_families, judge, plan_all
from tunesmith.jobs.planning.planned import Planned
from tunesmith.jobs.run.prepare import prepare
from tunesmith.jobs.run.session import Session
from tunesmith.plan import WIDTHS, Speed
from tunesmith.plan.search import WIDENS
from tunesmith.training.findings import Harm
from tunesmith.training.probe import VIEWS


def planned_for(
    settings: Settings,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    width: int = 16,
    images: int = 1797,
) -> Planned:
    """Plan on digits, with a speed that is given."""
    speed = Speed(
        width=width,
        size=(8, 8),
        channels_last=False,
        images_per_s=1000.0,
        answers_per_s=3000.0,
        parameters=10_000,
        activation_bytes=10_000,
    )
    monkeypatch.setattr("tunesmith.jobs.planning.decide.measure_speeds", lambda *_, **__: [speed])
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    return plan_all(
        settings,
        looked,
        replace(fingerprint(source, looked), images=images),
        find_families(settings),
        machine=measure(folder),
        clock=Clock(budget=60, now=lambda: 0.0),
    )


@pytest.mark.parametrize(
    ("width", "given", "says_so"),
    [
        (16, {}, True),
        (WIDTHS[-1], {}, False),  # there is no wider one
        (16, {"params": {"width": 16}}, False),
        (16, {"trials": 0}, False),
    ],
)
def test_more_time_may_choose_a_wider_network_unless_the_width_is_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    given: dict[str, Any],
    *,
    says_so: bool,
) -> None:
    settings = Settings.make({"budget": 60, "model": "convnet", **given})
    planned = planned_for(settings, tmp_path, monkeypatch, width=width)
    words = planned.plans[0].reasons[-1]
    assert words.startswith("No search for better settings")
    assert words.endswith(WIDENS) is says_so


@pytest.mark.parametrize(
    ("horizon", "train_s", "networks", "views"),
    [
        (1000, 9.0, 1, None),
        (1000, 9.0, 2, {}),  # a race needs to know what a few seconds from scratch bring
        (5000, 9.0, 1, VIEWS),
        (1000, 90.0, 1, VIEWS),
    ],
)
def test_changes_are_not_judged_for_seconds_that_show_no_image_twice(
    session_in: Callable[..., AbstractContextManager[Session]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    horizon: int,
    train_s: float,
    networks: int,
    views: Mapping[str, Any] | None,
) -> None:
    asked: list[Mapping[str, Any]] = []

    def harmless(*_: Any, views: Mapping[str, Any], **__: Any) -> Harm:
        asked.append(views)
        changed = dict.fromkeys(views, 0.9)
        return Harm(plain=0.9, chance=0.1, changed=changed, swapped={}, images=300)

    monkeypatch.setattr("tunesmith.jobs.planning.decide.transform_harm", harmless)
    with session_in(tmp_path, budget=60, model="convnet") as session:
        planned = planned_for(session.settings, tmp_path, monkeypatch)
        chosen = planned.plans[0].model_copy(update={"horizon": horizon, "train_s": train_s})
        prepared = prepare(
            session,
            open_source("digits"),
            planned.data,
            measure(tmp_path),
            size=(8, 8),
            depth=Depth.EXACT,
        )
        judged = judge(session, prepared, replace(planned, plans=(chosen,) * networks))
    assert asked == ([] if views is None else [views])
    assert judged.brief == (None if views is None else 0.9)
    for found in judged.plans:
        is_changed = found.train.augmentation != Augmentation()
        assert is_changed is bool(views)


@pytest.mark.parametrize(
    ("budget", "images", "model", "count"),
    [
        (19, 1797, "auto", 1),
        (20, 1797, "auto", 2),
        (29, 10_000, "auto", 1),
        (30, 10_000, "auto", 2),
        (10, 10_000, "efficientnet_lite0", 1),  # the only one is not left out
    ],
)
def test_a_pretrained_network_is_considered_if_there_is_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    budget: int,
    images: int,
    model: str,
    count: int,
) -> None:
    settings = Settings.make({"budget": budget, "model": model})
    planned = planned_for(settings, tmp_path, monkeypatch, images=images)
    assert len(planned.families) == len(planned.plans) == count
    if model != "auto":
        assert planned.families[0].name == model
