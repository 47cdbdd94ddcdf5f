"""Tests of `tunesmith.jobs.planning.decide`; test_race.py plans, and so does test_fit.py."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.plan import WIDTHS, Speed
from tunesmith.plan.search import WIDENS


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
    settings = Settings.make({"budget": 60, "model": "convnet", **given})
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    planned = plan_all(
        settings,
        looked,
        fingerprint(source, looked),
        find_families(settings),
        machine=measure(tmp_path),
        clock=Clock(budget=60, now=lambda: 0.0),
    )
    words = planned.plans[0].reasons[-1]
    assert words.startswith("No search for better settings")
    assert words.endswith(WIDENS) is says_so
