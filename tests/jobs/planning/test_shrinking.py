"""Tests of `tunesmith.jobs.planning.shrinking`."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.data.augment import shrunk
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.sources import open_source
from tunesmith.jobs.planning.measure import default_config, measure_speeds
from tunesmith.jobs.planning.shrinking import check_shrunk
from tunesmith.models.build import find_family
from tunesmith.models.convnet import convnet
from tunesmith.plan import Speed

FIXED = """
from torch import nn

def build(classes: int, channels: int, *, size: tuple[int, int]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))
"""


def check(data: Fingerprint, size: tuple[int, int], model: str = "convnet", **train: Any) -> None:
    speed = Speed(
        width=8 if model == "convnet" else 0,
        size=size,
        channels_last=True,
        images_per_s=1.0,
        answers_per_s=1.0,
        parameters=1,
        activation_bytes=1,
    )
    settings = Settings.make({"model": model, "train": train})
    check_shrunk(settings, data, find_family(model), speed)


@pytest.mark.parametrize(
    ("size", "channels", "scale", "told"),
    [
        ((8, 8), 1, 0.25, "2 x 2 pixels of 8 x 8 pixels"),
        ((8, 8), 3, 0.5, "4 x 4 pixels of 8 x 8 pixels"),
        ((28, 28), 1, 0.25, "7 x 7 pixels of 28 x 28 pixels"),
        ((32, 32), 3, 0.25, "8 x 8 pixels of 32 x 32 pixels"),
        ((32, 256), 3, 0.25, r"64 x 8 pixels \(width x height\) of 256 x 32 pixels"),
    ],
)
def test_images_that_become_too_small_are_refused(
    mnist: Fingerprint, size: tuple[int, int], channels: int, scale: float, told: str
) -> None:
    data = dataclasses.replace(mnist, channels=channels)
    message = rf"`train.early_scale` must .* convnet can compute, but {scale} makes {told}.* leave"
    with pytest.raises(SettingsError, match=message):
        check(data, size, early_scale=scale)
    check(data, size)
    check(data, size, early_scale=0.75)


def test_a_batch_of_one_image_needs_maps_of_more_than_one_pixel(mnist: Fingerprint) -> None:
    check(mnist, (8, 8), early_scale=0.5)
    with pytest.raises(SettingsError, match=r"more than 1 value.*, or train batches of more"):
        check(mnist, (8, 8), early_scale=0.5, batch=1)
    check(mnist, (8, 8), early_scale=0.5, batch=2)
    check(mnist, (8, 8), batch=1)


def test_a_user_s_network_may_know_one_size_alone(mnist: Fingerprint, tmp_path: Path) -> None:
    (tmp_path / "fixed.py").write_text(FIXED)
    model = f"{tmp_path / 'fixed.py'}:build"
    check(mnist, (28, 28), model, early_scale=1.0)
    with pytest.raises(SettingsError, match=r"0\.9 makes 25 x 25 .* shapes cannot be multiplied"):
        check(mnist, (28, 28), model, early_scale=0.9)


def test_it_is_refused_before_anything_is_planned() -> None:
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    given = {"budget": 5, "params": {"width": 8, "depth": 1}, "train": {"early_scale": 0.25}}
    settings, data = Settings.make(given), fingerprint(source, looked)
    with pytest.raises(SettingsError, match=r"0\.25 makes 2 x 2 pixels of 8 x 8 pixels"):
        measure_speeds(settings, looked, data, find_family("convnet"), left_s=1.0)


def test_what_the_plan_chooses_works_at_every_size() -> None:
    """It shrinks no image whose shorter side has fewer than 32 pixels."""
    scale = default_config(find_family("convnet"), 3).early_scale
    assert scale < 1
    with torch.device("meta"):  # shapes alone, nothing is computed
        for side in range(32, 257):
            for size in {(side, side), (side, 256 if side % 8 == 0 else side)}:
                network = convnet(2, 3, size=size, width=8, depth=1).eval()
                assert network(torch.empty(2, 3, *shrunk(size, scale))).shape == (2, 2)
