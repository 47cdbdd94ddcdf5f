"""Tests of `tunesmith.jobs.planning.resolutions`."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.sources import open_source
from tunesmith.jobs.planning import measure
from tunesmith.jobs.planning.measure import look_at, measure_speeds
from tunesmith.models.build import find_family
from tunesmith.plan import Speed
from tunesmith.training.findings import Measured

RATES = {64: 600, 96: 350, 128: 200}  # images in a second, by resolution
SpeedFor = Callable[..., tuple[Speed, list[int]]]


@pytest.fixture
def speed_for(monkeypatch: pytest.MonkeyPatch) -> SpeedFor:
    """Return a function that measures a pretrained network as on a machine of these rates."""
    chance = np.random.default_rng(0)
    source = open_source((chance.integers(0, 256, (40, 32, 32, 3), np.uint8), np.arange(40) % 2))
    looked = sample(source, count=40, seed=0, threads=1)
    tried: list[int] = []

    def measured(build: Callable[[], nn.Module], *_: object, **__: object) -> Measured:
        resolution = getattr(build(), "resolution")[0]  # noqa: B009 (a module may have any)
        tried.append(resolution)
        rate = RATES[resolution]
        return Measured(
            images_per_s=rate, share=1.0, answers_per_s=4 * rate, parameters=1, activation_bytes=1
        )

    monkeypatch.setattr(measure, "measure", measured)

    def measure_for(
        *, images: int, left_s: float, decode_s: float = 0.0, **given: object
    ) -> tuple[Speed, list[int]]:
        data: Fingerprint = dataclasses.replace(
            fingerprint(source, looked),
            images=images,
            test_images=images // 6,
            decode_per_s=images / decode_s if decode_s else math.inf,
        )
        settings = Settings.make({"budget": 600, "device": "cpu", **given})
        family = look_at(find_family("efficientnet_lite0"), data, settings.params)
        tried.clear()
        speeds = measure_speeds(settings, looked, data, family, left_s=left_s)
        assert speeds == sorted(speeds, key=lambda speed: speed.resolution)
        return speeds[-1], sorted(set(tried))

    return measure_for


@pytest.mark.parametrize("decode_s", [0, 200])
@pytest.mark.parametrize(
    ("left_s", "resolution", "tried"),
    [
        (30, 64, [64]),  # even if it cost as little as possible, a higher one would take too long
        (58, 64, [64, 96]),
        (90, 96, [64, 96, 128]),
        (600, 128, [64, 96, 128]),
    ],
)
def test_resolutions_are_measured_while_they_leave_time_to_learn(
    speed_for: SpeedFor, left_s: float, resolution: int, tried: list[int], decode_s: float
) -> None:
    """The time that decoding takes is none to learn."""
    speed, were_tried = speed_for(images=60_000, left_s=left_s + decode_s, decode_s=decode_s)
    assert (speed.resolution, speed.images_per_s) == (resolution, RATES[resolution])
    assert were_tried == tried


def test_few_images_are_looked_at_in_detail(speed_for: SpeedFor) -> None:
    assert speed_for(images=60_000, left_s=30)[0].resolution == 64
    assert speed_for(images=2000, left_s=30)[0].resolution == 128


def test_a_resolution_that_was_asked_for_is_kept(speed_for: SpeedFor) -> None:
    speed, tried = speed_for(images=60_000, left_s=30, params={"resolution": 128})
    assert speed.resolution == 128
    assert tried == [128]
