"""Tests of `tunesmith.jobs.run.module`; that it is what was exported, test_fit.py shows."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tunesmith.bundle import manifest as handed
from tunesmith.jobs.run.module import NETWORK_FILE, WEIGHTS_FILE, load_module
from tunesmith.models.build import ENSEMBLE, rebuild
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.records.events import Planned
from tunesmith.records.journal import FILE as JOURNAL
from tunesmith.records.journal import Journal

NETWORK = """
from typing import Annotated
from torch import nn
from tunesmith import Int

def build(classes: int, channels: int, *, width: Annotated[int, Int(1, 9)] = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.Flatten(), nn.LazyLinear(classes))
"""
SIZE = (8, 8)


def write_bundle(folder: Path, sha256: str) -> Deployed:
    """Write a bundle of two networks, and return what it holds."""
    folder.mkdir()
    (folder / NETWORK_FILE).write_text(NETWORK)
    members = [
        {"family": "elsewhere.py:build", "config": {"width": width}, "views": ["as is"]}
        for width in (2, 3)
    ]
    own = [{**member, "family": f"{folder / NETWORK_FILE}:build"} for member in members]
    network = rebuild(ENSEMBLE, 2, 1, size=SIZE, config={"members": own}, views=())
    deployed = Deployed(network, Normalize(torch.zeros(1), torch.ones(1)), size=SIZE).eval()
    save_file(deployed.state_dict(), folder / WEIGHTS_FILE)
    (folder / handed.GRAPH_FILE).write_bytes(b"not asked for here")
    manifest = handed.Manifest(
        tunesmith_version="0.1.0",
        created="2026-01-02T03:04:05+00:00",
        classes=("a", "b"),
        input=handed.Input(height=8, width=8, channels=1),
        temperature=1.0,
        score=handed.Score(metric="accuracy", value=0.9, low=0.8, high=0.95, n=40),
        model=handed.ModelInfo(
            family=ENSEMBLE,
            parameters=1,
            config={"members": members},
            source=handed.NetworkSource(path="elsewhere.py", function="build", sha256=sha256),
        ),
        latency=handed.Latency(ms={"1": 0.5}, threads=1),
        training=handed.Training(examples=10, seconds=1.0, seed=0),
    )
    handed.write_manifest(folder, manifest)
    return deployed


def same(bundle: Path, deployed: Deployed) -> None:
    images_NHWC = torch.randint(0, 256, (4, 9, 7, 1), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(load_module(bundle)(images_NHWC), deployed(images_NHWC))


def test_two_of_a_user_s_own_networks_are_built_by_the_bundle_s_copy(tmp_path: Path) -> None:
    deployed = write_bundle(tmp_path / "bundle", "0" * 64)
    same(tmp_path / "bundle", deployed)


@pytest.mark.parametrize("is_same", [True, False])
def test_in_its_run_s_folder_they_are_built_by_the_user_s_file_if_that_is_unchanged(
    tmp_path: Path, *, is_same: bool
) -> None:
    log, bundle = tmp_path / "log", tmp_path / "run" / "bundle"
    code = f"{NETWORK}\nimport pathlib\npathlib.Path({str(log)!r}).touch()\n"
    file = tmp_path / "net.py"
    file.write_text(code if is_same else f"{code}\n1 / 0\n")
    bundle.parent.mkdir()
    deployed = write_bundle(bundle, hashlib.sha256(code.encode()).hexdigest())
    with Journal(bundle.parent) as journal:
        journal.append(Planned(plan={"network": str(file)}), elapsed=0.0)
    same(bundle, deployed)
    assert log.exists() is is_same
    (bundle.parent / JOURNAL).write_text("no database")
    same(bundle, deployed)
