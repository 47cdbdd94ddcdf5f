"""The pages in docs/ say what is there: links lead somewhere, numbers come from results."""

import importlib
import importlib.util
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.testing.contracts import SAMPLER_LAWS
from tunesmith.tuning.protocols import Sampler

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_numbers_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python benchmarks/pages.py` writes the pages anew."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    pages = script("pages")
    assert (ROOT / "docs" / "accuracy.md").read_text("utf-8") == pages.page()
    assert (ROOT / "docs" / "data-gate.md").read_text("utf-8") == pages.gate_page()
    assert (ROOT / "docs" / "tuning.md").read_text("utf-8") == pages.tuning_page()


def test_what_compiling_costs_is_that_of_the_results() -> None:
    files = sorted((ROOT / "benchmarks" / "results").glob("engine*.json"))
    machines = [json.loads(file.read_text("utf-8")).get("compiling", {}) for file in files]
    steps = [step for machine in machines for step in machine.values()]
    ratios, first_s = ([step[key] for step in steps] for key in ("time_ratio", "first_s"))
    assert [len(machine) for machine in machines if machine] == [3, 3, 3]  # "on three machines"
    told = (
        f"took up to {max(first_s):.0f} seconds to compile, and then {min(ratios):.2f} to "
        f"{max(ratios):.2f} times as long for a step (three widths on three machines"
    )
    assert told in " ".join((ROOT / "docs" / "training.md").read_text("utf-8").split())


def test_the_script_by_hand_is_shown_once_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = script("pages")
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.beside_by_hand() == ""
    cell = {"data": "mnist", "budget_s": 60}
    ours = {**cell, "who": "tunesmith", "wall_s": 59.0, "memory_peak_mb": 1000}
    theirs = {**cell, "who": "by_hand", "wall_s": 57.0, "accuracy_mirrored": 0.984}
    rows = [
        {**ours, "accuracy": 0.994},
        {**ours, "accuracy": 0.998},
        {**theirs, "accuracy": 0.99, "trials": 4},
        {**theirs, "accuracy": 0.97, "trials": 2, "wall_s": 54.0},
        {**theirs, "who": "reference", "accuracy": 0.5},
    ]
    hardware = {"cpu": "C", "cores": 2, "system": "S"}
    found = {"hardware": hardware, "versions": {"torch": "T", "optuna": "O"}, "rows": rows}
    (tmp_path / "by_hand.json").write_text(json.dumps(found))
    shown = pages.beside_by_hand()
    assert "| script by hand | error ratio | mirrored script by hand |" in shown
    assert "| 99.60 (99.40 to 99.80) | 98.00 | 0.20 | 98.40 | 0.25 | 59.0 s | 1.0 GB |" in shown
    assert "tried: MNIST in 60 s, 2 to 4. At the latest, it ended after 95.0 % of" in shown


def test_searches_are_shown_against_the_plans_own_settings_once_they_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = script("pages")
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.overtuned() == ""
    row = {"problem": 0, "images": 300, "budget_s": 30.0, "plan": 0.5, "answers": "plan"}
    row["revision"] = "abc"
    rows = [
        {**row, "handed": 0.5, "chance": 1.0},
        {**row, "handed": 0.4, "chance": 0.01},
        {**row, "handed": 0.8, "chance": 0.04, "answers": "together", "images": 4000},
        {**row, "handed": 0.6, "chance": 0.2, "answers": "found", "problem": 1},
    ]
    found = {"hardware": {"cpu": "C", "cores": 2, "system": "S"}, "rows": rows}
    (tmp_path / "overtuning.json").write_text(json.dumps(found))
    shown = " ".join(pages.overtuned().split())
    assert "In 4 short runs" in shown
    assert "2 problems of 300 to 4,000 images, 30 s each" in shown
    assert "settings in 1, and better in 1 (McNemar" in shown
    assert "The mean difference is +7.50 points." in shown
    assert (
        "alone in 2, the found one in 1, and both together in 1. Hardware: C. Measured at abc."
        in shown
    )


def test_searches_that_the_budget_opened_are_shown_beside_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = script("pages")
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.opened() == ""
    row = {"data": "digits", "budget_s": 600, "seed": 0, "trials": 31}
    rows = [
        {**row, "variant": "as it decides", "accuracy": 0.91},
        {**row, "variant": "no search", "accuracy": 0.9, "trials": 0},
        {**row, "variant": "as it decides", "accuracy": 0.5, "seed": 1},  # the other one is missing
    ]
    found = {"hardware": {"cpu": "C", "cores": 1, "system": "S"}, "rows": rows}
    (tmp_path / "tuned_fit.json").write_text(json.dumps(found))
    shown = pages.opened()
    assert "on\none core" in shown
    assert "| digits | 600 s | 0 | the plan's | 31 | 91.00 % |  | 90.00 % |" in shown
    assert "50.00 %" not in shown


def test_what_a_part_is_worth_is_told_by_the_seeds_that_both_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = script("pages")
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.parts() == ""
    cell = {"data": "cifar10", "budget_s": 60}
    measured = (("as it is", 0, 0.8), ("as it is", 1, 0.9), ("ReLU", 1, 0.85), ("ReLU", 2, 0.5))
    rows = [{**cell, "variant": name, "seed": s, "accuracy": share} for name, s, share in measured]
    (tmp_path / "ablation.json").write_text(json.dumps({"rows": rows}))
    shown = pages.parts()
    assert "|  | CIFAR-10, 60 s (seeds) |" in shown
    assert "| as it is | 85.00 % |" in shown
    assert "| ReLU | -5.00 (1) |" in shown


def test_the_time_to_an_accuracy_is_the_shortest_budget_that_reaches_it() -> None:
    pages = script("pages")
    measured = (("tunesmith", 30, 0.989), ("tunesmith", 60, 0.991), ("reference", 60, 0.98))
    rows = [
        {"who": who, "data": "mnist", "budget_s": budget, "accuracy": share}
        for who, budget, share in measured
    ]
    assert pages.times(rows).endswith(": MNIST, 99.0 %: tunesmith 60 s, reference in none.")
    assert not pages.times([{**row, "data": "fashion"} for row in rows])


def test_the_tables_on_tuning_are_those_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python benchmarks/tuning.py --page` writes them anew, without any data."""
    page = (ROOT / "docs" / "tuning.md").read_text("utf-8")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = script("tuning")
    before, after = page.partition(benchmark.BEGIN)[0], page.partition(benchmark.END)[2]
    stale = f"{before}{benchmark.BEGIN}\nold numbers\n{benchmark.END}{after}"
    (tmp_path / "tuning.md").write_text(stale, "utf-8")
    monkeypatch.setattr(benchmark, "PAGE", tmp_path / "tuning.md")
    monkeypatch.setattr(benchmark, "DATA", tmp_path / "nowhere")
    monkeypatch.setattr("sys.argv", ["tuning.py", "--page"])
    benchmark.main()
    assert (tmp_path / "tuning.md").read_text("utf-8") == page


def test_tuners_are_compared_task_by_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = script("tuning")
    levels = {"ours": 0.1, "freeze-thaw + TPE": 0.05, "ASHA + GP": 0.11, "ASHA + TPE": 0.2}
    levels |= {"Optuna TPE": 0.24, "Optuna TPE, median": 0.22}

    def regrets(suite: str, line: str, seed: int) -> list[list[float]]:
        """Each task is worse than the one before it, and the second seed than the first."""
        tasks = [[levels[line] * (1 + task) + 0.02 * seed] * 6 for task in range(8)]
        if (suite, line, seed) == ("taskset", "ours", 0):
            tasks[0] = [math.inf] * 6  # counts 2
        return tasks

    rows = [
        {"suite": suite, "line": line, "seed": seed, "regrets": regrets(suite, line, seed)}
        for suite in ("taskset", "lcbench")
        for line in levels
        for seed in range(2)
    ]
    shown = benchmark.tables(rows)
    assert "\n- ASHA + TPE: lower at 12 (p < 0.05 at 6), higher at 0\n" in shown
    assert "\n- freeze-thaw + TPE: lower at 0, higher at 12 (p < 0.05 at 12)\n" in shown
    assert "| ASHA + TPE | -0.450; 8 of 8; 0.008 |" in shown
    assert "| lcbench, task | ours, 500 | ASHA + TPE, 500 | Optuna TPE, median, 500 |" in shown
    assert "| 189909 | 0.210 | 0.410 | 0.450 | 0.210 | 0.410 | 0.450 |" in shown
    assert "| patch128_LSTM128_avg_bs64 | 1.060 | 0.210 | 0.230 |" in shown


def test_the_tutorial_on_tuning_does_what_it_says(tmp_path: Path) -> None:
    """The script as a reader would save it: forty lines, no main guard."""
    page = (ROOT / "docs" / "tuning.md").read_text("utf-8")
    script, own = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 40
    assert script.count('budget="10s"') == 1
    # So many trials, however slow the machine is.
    (tmp_path / "train.py").write_text(script.replace('budget="10s"', "trials=12"))
    done = subprocess.run(
        [sys.executable, "train.py"], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    told = r"value   0\.\d+ after \d+( of 50)? units \(defaults: 0\.\d+( after \d+)?\)"
    assert re.search(told, done.stdout)
    found = json.loads((tmp_path / "runs" / "cancer" / "result.json").read_text())
    assert found["value"] < found["default"]
    assert set(found["config"]) == {"lr", "momentum", "decay", "batch"}
    (tmp_path / "near_best.py").write_text(own)
    sampled = script.replace('budget="10s"', "trials=3, sampler=NearBest()").replace(
        "runs/cancer", "runs/own"
    )
    (tmp_path / "train.py").write_text(f"from near_best import NearBest\n{sampled}")
    subprocess.run([sys.executable, "train.py"], check=True, capture_output=True, cwd=tmp_path)
    found = json.loads((tmp_path / "runs" / "own" / "result.json").read_text())
    assert found["method"].startswith(
        "sampler near_best.NearBest(share=0.5), scheduler freeze-thaw"
    )


@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=lambda law: law.__name__)
def test_the_sampler_on_the_page_keeps_the_laws(
    law: Callable[[Sampler], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "tuning.md").read_text("utf-8")
    _, own = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "near_best.py").write_text(own)
    monkeypatch.syspath_prepend(tmp_path)
    law(importlib.import_module("near_best").NearBest())
    monkeypatch.delitem(sys.modules, "near_best")


def test_the_loss_that_forgives_is_shown_once_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = script("pages")
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.noise() == ""
    row = {"data": "cifar10", "wrong": 0.3, "budget_s": 60, "images": 5000, "noticed": False}
    rows = [
        {**row, "loss": "as it comes", "accuracy": 0.6, "noticed": True},
        {**row, "loss": "cross-entropy", "accuracy": 0.5},
        {**row, "loss": "as it comes", "accuracy": 0.7},
        {**row, "wrong": 0.0, "loss": "as it comes", "accuracy": 0.8},  # the other is to come
    ]
    hardware = {"cpu": "C", "cores": 2, "system": "S"}
    (tmp_path / "noise.json").write_text(json.dumps({"hardware": hardware, "rows": rows}))
    shown = pages.noise()
    assert "Of 5,000 training images" in shown
    assert "| data | random labels | noticed | as it comes | cross-entropy |" in shown
    assert "| CIFAR-10 | 30 % | 1 of 2 | 65.00 % | 50.00 % |" in shown
    assert "| CIFAR-10 | 0 % | 0 of 1 | 80.00 % |  |" in shown
