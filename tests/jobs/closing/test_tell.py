"""Tests of `tunesmith.jobs.closing.tell`; more that it writes is tested in `test_fit.py`."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith import plan as planning
from tunesmith.jobs.closing import tell

NETWORK = """
import torch
from torch import nn

def build(classes: int, channels: int) -> nn.Module:
    torch.manual_seed(7)
    network = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
                            nn.Flatten(), nn.Linear(72, classes))
    network.pretrained_cfg = {"mean": [0.25], "std": [0.5], "classifier": "4"}
    return network
"""


def test_trials_are_counted_whatever_network_answers() -> None:
    """The network of the plan, which a search tries first, and the found one are counted once."""
    history = SimpleNamespace(
        trials=["convnet", "efficientnet_lite0", "convnet 2", "convnet, fold 1"]
    )
    searched = SimpleNamespace(names=["convnet", "convnet 1", "convnet 2"])
    assert tell._trials(history, searched) == 4  # type: ignore[arg-type]
    assert tell._trials(history, None) == 3  # type: ignore[arg-type]


def test_what_predicted_the_folds_is_told_also_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks without a fold that an earlier session trained do not count where heads predict."""
    (tmp_path / "network.py").write_text(NETWORK)
    generator = np.random.default_rng(0)
    pixels, labels = generator.integers(0, 150, (120, 8, 8)).astype(np.uint8), np.arange(120) % 2
    pixels[labels == 1, :, :4] += 100
    # However fast the machine is, the final network is not its head alone.
    monkeypatch.setattr(planning, "TUNED", 0)
    # Nor is time over before training is, however slow it is.
    monkeypatch.setattr(importlib.import_module("tunesmith.plan.plan"), "MOST_EPOCHS_SMALL", 6.0)
    monkeypatch.setattr("tunesmith.plan.folds.FEWEST_EPOCHS_SMALL", 0.0)

    def told(budget: str, *, tuned: bool) -> str:
        monkeypatch.setattr(planning, "can_tune", lambda *_, **__: tuned)
        given: dict[str, Any] = {"model": f"{tmp_path / 'network.py'}:build", "trials": 0}
        given["train"] = {"augmentation": {}}
        result = ts.fit(
            (pixels, labels), budget=budget, out=tmp_path / "out", progress=False, **given
        )
        text = re.sub(r"\s+", " ", (result.folder / "report.html").read_text("utf-8"))
        (sentence,) = re.findall(r"By cross-validation [^<]*", text)
        return str(sentence)

    assert "predicted by a network that was trained without it" in told("100h", tuned=True)
    heads = "by a pretrained network whose last layer alone was fitted, without it; the final one"
    for budget in ("200h", "300h"):
        assert heads in told(budget, tuned=False)
