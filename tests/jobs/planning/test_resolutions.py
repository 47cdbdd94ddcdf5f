"""Tests of `tunesmith.jobs.planning.resolutions`."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

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
from tunesmith.training.epoch import TrainData
from tunesmith.training.findings import Measured

# Images in a second, by the longer side of what a network computes.
RATES = {32: 2000, 48: 1000, 64: 600, 96: 350, 128: 200, 192: 90, 224: 60, 256: 50}
SpeedFor = Callable[..., tuple[Speed, list[int]]]
MakeOwn = Callable[..., str]


@pytest.fixture
def speed_for(monkeypatch: pytest.MonkeyPatch) -> SpeedFor:
    """Return a function that measures a network as on a machine of these rates."""
    chance = np.random.default_rng(0)
    source = open_source((chance.integers(0, 256, (40, 32, 32, 3), np.uint8), np.arange(40) % 2))
    looked = sample(source, count=40, seed=0, threads=1)
    tried: list[int] = []

    def measured(
        build: Callable[[], nn.Module], data: TrainData, *_: object, **__: object
    ) -> Measured:
        side = max(getattr(build(), "resolution", data.x_NCHW.shape[2:]))
        tried.append(side)
        rate = RATES[side]
        return Measured(
            images_per_s=rate, share=1.0, answers_per_s=4 * rate, parameters=1, activation_bytes=1
        )

    monkeypatch.setattr(measure, "measure", measured)
    monkeypatch.setattr(measure, "check_export", lambda *_, **__: None)  # takes a second

    def measure_for(
        *,
        images: int,
        left_s: float,
        decode_s: float = 0.0,
        side: int = 32,
        model: str = "efficientnet_lite0",
        **given: object,
    ) -> tuple[Speed, list[int]]:
        data: Fingerprint = dataclasses.replace(
            fingerprint(source, looked),
            images=images,
            test_images=images // 6,
            heights=(side, side, side),
            widths=(side, side, side),
            decode_per_s=images / decode_s if decode_s else math.inf,
        )
        settings = Settings.make({"budget": 600, "device": "cpu", "model": model, **given})
        family = look_at(find_family(model), data, settings.params)
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


OWN = """
from typing import Annotated

import torch
from torch import nn

from tunesmith import Choice, Float, Int


class Network(nn.Module):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3)
        self.head = nn.Linear(8, classes)
        if IS_PRETRAINED:
            self.pretrained_cfg = {"mean": [0.5] * 3, "std": [0.2] * 3, "classifier": "head"}

    def forward(self, x):
        if hasattr(self, "resolution"):
            x = nn.functional.interpolate(x, self.resolution, mode="bilinear", antialias=True)
        return self.head(self.stem(x).mean((2, 3)))


def build(classes: int, channels: int, *, resolution: Annotated[object, RANGE]):
    if IS_PRETRAINED:
        torch.manual_seed(0)
    network = Network(classes, channels)
    if type(resolution) is int and resolution >= 8:
        network.resolution = (resolution, resolution)
    return network
"""


@pytest.fixture
def make_own(tmp_path: Path) -> MakeOwn:
    """Return a function that writes a user's network whose resolution has some range."""

    def make(declared: str, *, pretrained: bool = False) -> str:
        text = OWN.replace("RANGE]", declared).replace("IS_PRETRAINED", str(pretrained))
        (tmp_path / "net.py").write_text(text)
        return f"{tmp_path}/net.py:build"

    return make


@pytest.mark.parametrize(
    ("left_s", "resolution", "tried"), [(90, 32, [32]), (290, 32, [32, 64]), (400, 64, [32, 64])]
)
def test_a_network_from_scratch_sees_its_images_three_times(
    speed_for: SpeedFor,
    make_own: MakeOwn,
    left_s: float,
    resolution: int,
    tried: list[int],
) -> None:
    """There is time for 12,000 examples at 64 pixels, and at 96 and more, in each of these."""
    model = make_own("Int(32, 128)] = 64")
    speed, were_tried = speed_for(images=60_000, left_s=left_s, model=model)
    assert (speed.resolution, speed.size) == (resolution, (32, 32))
    assert were_tried == tried


@pytest.mark.parametrize(
    ("declared", "side", "tried"),
    [
        ("Int(32, 128)] = 64", 48, [48, 64]),
        ("Int(32, 128)] = 64", 256, [32, 48, 64, 96, 128]),
        ("Int(32, 128)] = 64", 8, [64]),
        ("Choice(64, 96, 256)] = 96", 32, [96]),
        ("Choice(64, 96, 256)] = 96", 256, [64, 96, 256]),
    ],
)
def test_a_network_from_scratch_is_tried_at_the_images_own_size_and_its_default(
    speed_for: SpeedFor,
    make_own: MakeOwn,
    declared: str,
    side: int,
    tried: list[int],
) -> None:
    model = make_own(declared)
    speed, were_tried = speed_for(images=2000, left_s=600, side=side, model=model)
    assert were_tried == tried
    assert speed.resolution == tried[-1]
    assert max(speed.size) == min(side, speed.resolution)


@pytest.mark.parametrize(
    ("declared", "another"),
    [
        ("Float(0.5, 1.0)] = 1.0", 0.75),
        ("Choice(1, 2)] = 1", 2),
        ('Choice("low", "high")] = "low"', "high"),
        ("Choice(True, False)] = True", False),
        ("Int(1, 4)] = 2", 3),
    ],
)
def test_a_resolution_that_is_no_number_of_pixels_does_not_choose_the_size(
    speed_for: SpeedFor, make_own: MakeOwn, declared: str, another: object
) -> None:
    model = make_own(declared)
    for params in ({}, {"resolution": another}):
        speed, tried = speed_for(images=2000, left_s=600, side=128, model=model, params=params)
        assert (speed.resolution, speed.size) == (0, (128, 128))
        assert tried == [32, 48, 64, 96, 128]


def test_a_pretrained_network_without_a_resolution_gets_images_that_leave_time_to_tune_it(
    speed_for: SpeedFor, make_own: MakeOwn
) -> None:
    """In this time, it sees 12,000 examples at 128 pixels, and all images three times at 32."""
    given = {"images": 60_000, "left_s": 150, "side": 256}
    scratch, _ = speed_for(model=make_own("...] = None"), **given)
    tuned, tried = speed_for(model=make_own("...] = None", pretrained=True), **given)
    assert (scratch.size, tuned.size) == ((32, 32), (128, 128))
    assert tried == [32, 48, 64, 96, 128, 192]


@pytest.mark.parametrize("declared", ["Int(64, 224)] = 96", "Choice(64, 224)] = 64"])
@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("side", [32, 256])
def test_a_resolution_of_your_own_network_may_be_set(
    speed_for: SpeedFor, make_own: MakeOwn, declared: str, side: int, *, pretrained: bool
) -> None:
    model, params = make_own(declared, pretrained=pretrained), {"resolution": 224}
    speed, tried = speed_for(images=60_000, left_s=30, side=side, model=model, params=params)
    assert (speed.resolution, tried) == (224, [224])
    assert speed.size == (min(side, 224), min(side, 224))
