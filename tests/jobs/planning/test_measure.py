"""Tests of `tunesmith.jobs.planning.measure`; test_race.py and test_fit.py plan by it."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import Fingerprint, fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.planning import measure as measuring
from tunesmith.jobs.planning.decide import find_families, plan_all
from tunesmith.jobs.planning.measure import default_config, look_at, measure_speeds
from tunesmith.models.build import find_family
from tunesmith.training.config import RECIPES, TUNED_RECIPES, TrainConfig
from tunesmith.training.device import Compute
from tunesmith.training.findings import Measured

TIMM_LIKE = """
from pathlib import Path
from typing import Annotated

import torch
from safetensors.torch import load_file
from torch import nn

from tunesmith import Choice


class Network(nn.Module):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, classes)
        self.pretrained_cfg = self.default_cfg = {
            "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2), "classifier": "head"
        }

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.stem(x))).mean((2, 3)))


def build(
    classes: int, channels: int, *, kind: Annotated[str, Choice("learned", "random", "fixed")]
    = "learned",
) -> nn.Module:
    if kind == "fixed":
        torch.manual_seed(0)
    network = Network(classes, channels)
    if kind == "learned":
        weights = load_file(Path(__file__).with_name("weights.safetensors"))
        weights["stem.weight"] = weights["stem.weight"].sum(1, keepdim=True)
        network.load_state_dict(weights, strict=False)
    return network
"""


@pytest.mark.parametrize(
    ("kind", "is_pretrained"), [("learned", True), ("random", False), ("fixed", True)]
)
def test_a_network_that_says_so_is_pretrained_if_its_weights_are_the_same_each_time(
    mnist: Fingerprint, tmp_path: Path, kind: str, *, is_pretrained: bool
) -> None:
    (tmp_path / "net.py").write_text(TIMM_LIKE)
    generator = torch.Generator().manual_seed(0)
    stem = torch.randn((8, 3, 3, 3), generator=generator)
    save_file({"stem.weight": stem}, tmp_path / "weights.safetensors")
    state = torch.get_rng_state()
    found = look_at(find_family(f"{tmp_path}/net.py:build"), mnist, {"kind": kind})
    torch.testing.assert_close(torch.get_rng_state(), state)
    assert (found.pretrained is not None) is is_pretrained
    assert ("change with the random seed" in found.remark) is not is_pretrained
    config = default_config(found, mnist.channels)
    assert (config.frozen > 0) is is_pretrained
    if found.pretrained:
        assert found.pretrained.mean == pytest.approx((0.4 * 255,))


def test_the_plan_tells_who_has_learned_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TIMM_LIKE)
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    given = {"budget": 5, "model": f"{tmp_path}/net.py:build", "params": {"kind": "random"}}
    settings = Settings.make(given)
    planned = plan_all(
        settings,
        looked,
        fingerprint(source, looked),
        find_families(settings),
        machine=measure(tmp_path),
        clock=Clock(budget=5, now=lambda: 0.0),
    )
    assert planned.plans[0].reasons[0].startswith("Your network has a `pretrained_cfg`, but most")
    assert planned.plans[0].train.model_dump().items() >= RECIPES["adamw"].items()


FLAT = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, classes: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3, padding=1)
        self.head = nn.Linear(4 * size[0] * size[1], classes)

    def forward(self, x):
        x = self.convolution(x)
        return self.head(x.view(len(x), -1))


def build(classes: int, channels: int, size: tuple[int, int]) -> nn.Module:
    return Network(classes, channels, size)
"""


def test_a_layout_that_a_network_does_not_compute_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FLAT)
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    settings = Settings.make({"budget": 5, "model": f"{tmp_path}/net.py:build"})
    (family,) = find_families(settings)
    data = fingerprint(source, looked)
    speeds = measure_speeds(settings, looked, data, family, left_s=5.0)
    assert not any(speed.channels_last for speed in speeds)
    told = r"`train\.channels_last` = true is for .* Leave it out"
    for is_set in (True, False):
        asked = settings.model_copy(update={"train": {"channels_last": is_set}})
        with pytest.raises(SettingsError, match=told) if is_set else nullcontext():
            measure_speeds(asked, looked, data, family, left_s=5.0)


@pytest.mark.parametrize(
    "given", [{}, {"params": {"width": 8}}, {"model": "efficientnet_lite0"}], ids=str
)
@pytest.mark.parametrize("is_set", [True, False])
def test_what_you_set_is_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], *, is_set: bool
) -> None:
    """Whatever is faster: what is measured tells which width and resolution there is time for."""
    measured: list[TrainConfig] = []

    def spy(_build: object, _data: object, config: TrainConfig, **_: object) -> Measured:
        measured.append(config)
        return Measured(
            images_per_s=9.0, share=1.0, answers_per_s=9.0, parameters=1, activation_bytes=1
        )

    compute = Compute(device=torch.device("cpu"), autocast=torch.bfloat16)
    monkeypatch.setattr(measuring, "choose_device", lambda _: compute)
    monkeypatch.setattr(measuring, "measure", spy)
    source = open_source("digits")
    looked = sample(source, count=40, seed=0, threads=1)
    data = fingerprint(source, looked)
    train = {"mixed_precision": False, "channels_last": False, "optimizer": "sgd", "frozen": 0.5}
    more = {"train": train} if is_set else {}
    settings = Settings.make({"budget": 5, "model": "convnet", **given, **more})
    family = look_at(find_family(settings.model), data, settings.params)
    speeds = measure_speeds(settings, looked, data, family, left_s=5.0)
    assert ("bfloat16" in {speed.precision for speed in speeds}) is not is_set
    if is_set:
        recipe = (RECIPES if family.pretrained is None else TUNED_RECIPES)["sgd"]
        wanted = {**recipe, **train}.items()
        assert all(config.model_dump().items() >= wanted for config in measured)
    else:
        assert {config.mixed_precision for config in measured} == {True, False}
        assert (family.pretrained is None) == any(not c.channels_last for c in measured)


@pytest.mark.parametrize(("device", "batch"), [("cpu", 2_000_000 // 128**2), ("meta", 512)])
def test_a_large_batch_of_large_images_is_too_slow_to_be_measured_on_cpus_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, batch: int
) -> None:
    """A GPU computes small batches hardly faster than large ones: they say little of its speed."""
    measured: list[int] = []

    def spy(_build: object, _data: object, config: TrainConfig, **_: object) -> Measured:
        measured.append(config.batch)
        return Measured(
            images_per_s=9.0, share=1.0, answers_per_s=9.0, parameters=1, activation_bytes=1
        )

    compute = Compute(device=torch.device(device))
    # A device whose tensors have no values: nothing is built of them.
    monkeypatch.setattr(measuring, "builder", lambda *_args, **_options: None)
    monkeypatch.setattr(measuring, "choose_device", lambda _: compute)
    monkeypatch.setattr(measuring, "measure", spy)
    source = open_source((np.zeros((40, 128, 128), np.uint8), np.arange(40) % 2))
    looked = sample(source, count=40, seed=0, threads=1)
    data = fingerprint(source, looked)
    settings = Settings.make({"budget": 60, "model": "convnet", "train": {"batch": 512}})
    family = look_at(find_family(settings.model), data, settings.params)
    measure_speeds(settings, looked, data, family, left_s=60.0, size=(128, 128))
    assert set(measured) == {batch}


def test_our_own_networks_are_known(mnist: Fingerprint) -> None:
    scratch, tuned = (
        look_at(find_family(name), mnist, {}) for name in ("convnet", "efficientnet_lite0")
    )
    assert scratch.pretrained is None
    assert tuned.pretrained is not None
    assert scratch.remark == tuned.remark == ""
