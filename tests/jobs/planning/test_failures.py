"""Tests of `tunesmith.jobs.planning.failures`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tunesmith.core.clock import Clock
from tunesmith.core.errors import ModelError, OutOfMemoryError
from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.jobs.planning import measure as measuring
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.planning.failures import within_memory
from tunesmith.jobs.planning.planned import Planned
from tunesmith.plan import Speed
from tunesmith.training.config import TrainConfig
from tunesmith.training.findings import Measured
from tunesmith.training.probe import measure

# In training, it has memory for `MOST` images, and normalizes single values.
NETWORK = """
import torch
from torch import nn

MOST = {most}


class Network(nn.Module):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        if self.training and len(x) > MOST:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.head(self.norm(self.stem(x).mean((2, 3))))


def build(classes: int, channels: int) -> nn.Module:
    return Network(classes, channels)
"""


def planned(model: str, folder: Path, **train: Any) -> Planned:
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    settings = Settings.make({"budget": 5, "model": model, "train": train})
    return plan_all(
        settings,
        looked,
        fingerprint(source, looked),
        find_families(settings),
        machine=measure_machine(folder),
        clock=Clock(budget=5, now=lambda: 0.0),
    )


def own(folder: Path, *, most: int) -> str:
    (folder / "net.py").write_text(NETWORK.format(most=most))
    return f"{folder}/net.py:build"


@pytest.mark.parametrize("train", [{}, {"batch": 1000}])
def test_a_plan_keeps_to_what_memory_has_room_for(tmp_path: Path, train: dict[str, Any]) -> None:
    (chosen,) = planned(own(tmp_path, most=9), tmp_path, **train).plans
    assert chosen.train.batch in {7, 8}
    assert chosen.images_per_s > 0
    assert "with more, memory ran out" in " ".join(chosen.reasons)


def test_a_batch_that_you_set_is_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def spy(build: Callable[[], nn.Module], data: Any, config: TrainConfig, **_: Any) -> Measured:
        measured.append(config.batch)
        return measure(build, data, config, seconds=0.0)

    monkeypatch.setattr(measuring, "measure", spy)
    (chosen,) = planned("convnet", tmp_path, batch=3).plans
    assert {*measured} == {chosen.train.batch} == {3}


@pytest.mark.parametrize(
    ("train", "most", "message"),
    [
        ({"batch": 1}, 99, r"normalizes single values .* `train.batch` is 1. Set it to 2 or more"),
        ({}, 1, r"but memory has room for one image. Choose a smaller network"),
        ({}, 0, r"memory ran out with a batch of one image"),
    ],
)
def test_a_batch_that_is_too_small_is_explained(
    tmp_path: Path, train: dict[str, Any], most: int, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        planned(own(tmp_path, most=most), tmp_path, **train)


def test_nothing_larger_is_tried_than_what_did_not_fit() -> None:
    speed = Speed(
        size=(8, 8), width=0, channels_last=True, images_per_s=1, answers_per_s=1, parameters=1,
        activation_bytes=1,
    )  # fmt: skip
    tried = []

    def measured(width: int) -> Speed:
        tried.append(width)
        if width > 16:
            raise OutOfMemoryError
        return speed.model_copy(update={"width": width})

    ways = [{"width": width} for width in (8, 16, 32, 64)]
    assert [found.width for found in within_memory(measured, ways)] == [8, 16]
    assert tried == [8, 16, 32]
    assert [*within_memory(measured, ways[2:], needed=False)] == []
    with pytest.raises(OutOfMemoryError):
        [*within_memory(measured, ways[2:])]
