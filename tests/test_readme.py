"""What README.md promises is there: commands, options, names, links."""

import ast
import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import tunesmith
from tunesmith.core.space import space_of
from tunesmith.jobs.run.limits import check_export
from tunesmith.models.custom import check_network
from tunesmith.models.pretrained import check_classifier, pretrained_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def help_of(*command: str) -> str:
    """Return a command's help, on a terminal wide enough to break no line."""
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", *command, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    return done.stdout


def code_blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_exists(text: str) -> None:
    named = re.findall(
        r"\bmake ([a-z-]+)(?=$|`|\s{2,})", (ROOT / text).read_text("utf-8"), re.MULTILINE
    )
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_every_verb_exists() -> None:
    verbs = set(re.findall(r"^tunesmith ([a-z]+)", README, re.MULTILINE))
    listed = help_of()
    assert {"fit", "predict", "report"} <= verbs
    assert [verb for verb in verbs if not re.search(rf"\b{verb}\b", listed)] == []


def test_the_table_has_the_options_of_fit() -> None:
    table = set(re.findall(r"^\| `(--[a-z-]+)` \|", README, re.MULTILINE))
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_of("fit")))
    assert table == options - {"--help"}


def test_the_comparison_is_that_of_the_results() -> None:
    results = ROOT / "benchmarks" / "results"
    found: dict[tuple[str, str, float], list[float]] = {}
    for name in ("peers", "fit-avx2"):  # on machines of one kind
        for row in json.loads((results / f"{name}.json").read_text("utf-8"))["rows"]:
            cell = row["who"].replace("tunesmith", "Tunesmith"), row["data"], row["budget_s"]
            found.setdefault(cell, []).append(row["accuracy"])
    table = README.partition("## Compared with")[2].partition("\n|---")[2].partition("\n\n")[0]
    _, *lines = table.splitlines()
    assert len(lines) == 4
    for line in lines:
        who, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        columns = (("mnist", 300), ("fashion", 300), ("cifar10", 600))
        values = [found.get((who, *column)) for column in columns]
        assert cells == [f"{100 * median(each):.1f} %" if each else "" for each in values]


def test_the_python_code_uses_public_names() -> None:
    blocks = code_blocks("python")
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "tunesmith":
                assert {alias.name for alias in node.names} <= set(tunesmith.__all__)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ts":
                assert node.attr in tunesmith.__all__


def test_the_network_of_one_size_is_a_network_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(_name: str, **given: Any) -> nn.Module:
        pixels = given["in_chans"] * given["img_size"] ** 2
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, given["num_classes"]))

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=made))
    (block,) = [block for block in code_blocks("python") if "import timm" in block]
    defined: dict[str, Any] = {}
    exec(block, defined)
    build = defined["build"]
    assert space_of(build)["resolution"].default == 224
    network = copy.deepcopy(build(3, 1, resolution=128))
    check_network(network, torch.zeros(2, 1, 40, 30), 3)
    check_export(network, channels=1, size=(40, 30))


def test_a_network_that_returns_more_than_logits_is_wrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Named(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.classifier = nn.Linear(3, classes)

        def forward(self, x_NCHW: torch.Tensor) -> SimpleNamespace:
            assert x_NCHW.shape[1:] == (3, 224, 224)
            return SimpleNamespace(logits=self.classifier(x_NCHW.mean((2, 3))))

    def made(_name: str, *, num_labels: int, ignore_mismatched_sizes: bool) -> nn.Module:
        assert ignore_mismatched_sizes
        return Named(num_labels)

    named = SimpleNamespace(from_pretrained=made)
    package = SimpleNamespace(AutoModelForImageClassification=named)
    monkeypatch.setitem(sys.modules, "transformers", package)
    (block,) = [block for block in code_blocks("python") if "import AutoModel" in block]
    defined: dict[str, Any] = {}
    exec(block, defined)
    for channels in (1, 3):
        network = defined["build"](4, channels)
        blank = torch.zeros(2, channels, 40, 30)
        check_network(network, blank, 4)
        pretrained = pretrained_of(network, channels)
        assert pretrained is not None
        check_classifier(network, pretrained, blank, 4)
        check_export(network, channels=channels, size=(40, 30))


@pytest.mark.parametrize("text", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(text: str) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / text).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
