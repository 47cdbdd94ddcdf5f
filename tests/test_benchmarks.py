"""Benchmarks that run another script: what is measured of whom, and the script by hand."""

import importlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from tunesmith.core.clock import Clock

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RIVAL = """\
import json, sys
print("a line of another kind")
print(json.dumps({"accuracy": 0.5, "told": sys.argv[1:]}))
"""
Module = Callable[[str], ModuleType]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    """Return an importer of benchmarks, which import each other by their bare names."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_the_rows_of_another_script_bear_its_name(module: Module, tmp_path: Path) -> None:
    (tmp_path / "rival.py").write_text(RIVAL)
    row = module("fit").run_reference(str(tmp_path / "rival.py"), "mnist", 60, 3)
    told = ["mnist", "60", "--seed", "3", "--width", "16"]
    run = {"who": "rival", "data": "mnist", "budget_s": 60, "seed": 3}
    assert row == {**run, "accuracy": 0.5, "told": told}


def test_each_script_runs_once_on_the_data_that_it_knows(
    module: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = module("fit")
    ran: list[tuple[str, str]] = []

    def run(who: str, data: str, budget: int, seed: int) -> dict[str, Any]:
        ran.append((who, data))
        row = {"who": who, "data": data, "budget_s": budget, "seed": seed}
        return {**row, "accuracy": 0.9, "wall_s": 59.0, "memory_peak_mb": 1000}

    def run_reference(script: str, data: str, budget: int, seed: int) -> dict[str, Any]:
        return run(Path(script).stem, data, budget, seed)

    def run_ours(data: str, budget: int, seed: int) -> dict[str, Any]:
        return run("tunesmith", data, budget, seed)

    monkeypatch.setattr(fit, "run_ours", run_ours)
    monkeypatch.setattr(fit, "run_reference", run_reference)
    command = ["fit.py", "--rows", "mnist:60,digits:60,cifar10-1000:60", "--seeds", "1"]
    command += ["--results", str(tmp_path / "fit.json"), "--reference"]
    for script in ("reference.py", "folder/by_hand.py", "folder/by_hand.py"):
        monkeypatch.setattr("sys.argv", [*command, script])
        fit.main()
    ours = [("tunesmith", data) for data in ("mnist", "digits", "cifar10-1000")]
    theirs = [("reference", "mnist"), ("by_hand", "mnist"), ("by_hand", "digits")]
    assert sorted(ran) == sorted([*ours, *theirs])
    written = json.loads((tmp_path / "fit.json").read_text())["rows"]
    assert [(row["who"], row["data"]) for row in written] == ran
    assert "| mirrored script by hand |" in capsys.readouterr().out


def test_the_script_by_hand_learns(module: Module) -> None:
    by_hand = module("by_hand")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        data = by_hand.read("digits", seed=0)
        clock = Clock(budget=math.inf)
        search = by_hand.Search(data=data, clock=clock, kept_s=0.0, width=16, epochs=10)
        study = optuna.create_study(direction="maximize")
        study.enqueue_trial(asdict(by_hand.first(16)))
        study.optimize(search, n_trials=1)
    assert search.best.config == by_hand.first(16)
    assert len(study.trials[0].intermediate_values) == 10
    assert by_hand.accuracy(search.best.network, data, data.test) > 0.7


def test_the_script_by_hand_answers_even_without_time(module: Module) -> None:
    with torch.random.fork_rng(devices=[]):
        found = module("by_hand").measure("digits", Clock(budget=0.0), seed=0, width=8)
    assert {"accuracy", "accuracy_mirrored", "images_per_s", "wall_s"} <= found.keys()
    assert (found["trials"], found["epochs"]) == (1, 1)
    assert found["accuracy"] == found["accuracy_mirrored"]


def test_both_losses_are_trained_on_the_same_wrong_labels(
    module: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    noise = module("noise")
    x, y = np.zeros((6000, 2, 2), np.uint8), np.arange(6000) % 10
    ran: list[tuple[str, bytes]] = []

    def fitted(source: Path, settings: dict[str, Any], budget: int) -> tuple[dict[str, Any], None]:
        with np.load(source) as file:
            labels, tested = file["y_train"], file["y_test"]
        assert len(labels) == 5000
        assert (tested == y).all()
        ran.append((json.dumps(settings), labels.tobytes()))
        notes = [] if "robust" in settings["train"] else [f"Of them: {noise.FORGIVES}."]
        return {"score": {"value": 0.75 + 0.1 * bool(notes)}, "notes": notes}, None

    monkeypatch.setattr(noise, "fitted", fitted)
    monkeypatch.setattr(noise, "read_fashion", lambda: {"train": (x, y), "test": (x, y)})
    monkeypatch.setattr(noise, "read_zip", lambda *_: {"train": (x, y), "test": (x, y)})
    monkeypatch.setattr(noise, "RESULTS", tmp_path / "noise.json")
    monkeypatch.setattr("sys.argv", ["noise.py", "--seeds", "1", "--budget", "7"])
    noise.main()
    noise.main()  # nothing is left to do
    settings, labels = zip(*ran, strict=True)
    assert len(ran) == 2 * 3 * 2
    assert labels[0::2] == labels[1::2]
    assert len(set(labels)) == 3
    assert {*settings} == {'{"train": {"seed": 0}}', '{"train": {"seed": 0, "robust": 0.0}}'}
    table = "| Fashion-MNIST | 30 % | 1 of 1 | 85.00 % | 75.00 % |"
    assert capsys.readouterr().out.count(table) == 2


def test_the_parts_of_the_data_are_disjoint(module: Module) -> None:
    data = module("by_hand").read("digits", seed=0)
    parts = [set(part.tolist()) for part in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(data.y_N)


def test_shifted_images_keep_their_size_and_move_apart(module: Module) -> None:
    x_NHWC = torch.zeros(200, 5, 6, 2, dtype=torch.uint8)
    x_NHWC[:, 2, 3] = 7
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        moved = module("by_hand").shifted(x_NHWC, most=1)
    assert moved.shape == x_NHWC.shape
    places = moved[..., 0].nonzero()
    assert places[:, 0].tolist() == list(range(200))
    seen = {(y, x) for y, x in places[:, 1:].tolist()}
    assert seen == {(y, x) for y in (1, 2, 3) for x in (2, 3, 4)}


@pytest.mark.parametrize("name", ["MixUp", "CutMix", "the harder half of 1,024 images"])
def test_a_loss_that_was_tried_is_one_of_the_images(module: Module, name: str) -> None:
    loss = module("tricks").TRICKS[name].loss(0.1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        value = loss(network, torch.randn(8, 3, 8, 8), torch.arange(8) % 4)
    value.backward()
    assert value.isfinite()
    assert all(p.grad is not None for p in network.parameters())


def test_a_rectangle_is_pasted_over_the_share_that_is_told(module: Module) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mixed, share = module("tricks").pasted(torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8), 0.7)
    assert mixed.mean().item() == pytest.approx(1 - share)
    assert 0.5 < share < 0.9


@pytest.mark.parametrize(
    "name", ["pooling before the first convolution", "the same with stochastic depth"]
)
def test_a_changed_network_answers_for_each_image(module: Module, name: str) -> None:
    tricks = module("tricks")
    trick, x_NCHW = tricks.TRICKS[name], torch.zeros(2, 3, 32, 32)
    with torch.random.fork_rng(devices=[]):
        network = trick.change(tricks.made(trick, x_NCHW))
        assert network.train()(x_NCHW).shape == network.eval()(x_NCHW).shape == (2, 10)
