"""Tests of `tunesmith.models.build`."""

from pathlib import Path

import pytest
import torch

from tunesmith.core.errors import ModelError, SettingsError
from tunesmith.models.build import FAMILIES, find_family


@pytest.mark.parametrize("name", list(FAMILIES))
def test_families_are_found_by_name(name: str) -> None:
    family = find_family(name)
    assert family.source is None
    build = family.builder(3, 1, size=(8, 8), params={})
    assert build() is not build()


def test_parameters_are_checked_before_anything_is_built() -> None:
    with pytest.raises(SettingsError, match=r"`width` must lie in .* but got 4000"):
        find_family("convnet").builder(3, 1, size=(8, 8), params={"width": 4000})


def test_unknown_families_name_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model family 'convet'\. Did you mean `convnet`\?"):
        find_family("convet")


@pytest.mark.parametrize(
    ("declared", "is_measured"),
    [
        ("int, Int(32, 128)] = 64", True),
        ("int, Choice(96, 224)] = 224", True),
        ("int, Int(1, 4)] = 2", False),
        ("int, Choice(0, 1, 2)] = 1", False),
        ("float, Float(0.5, 1.0)] = 1.0", False),
        ("object, Choice(96, 224.0)] = 96", False),
        ("bool, Choice(True, False)] = True", False),
        ("str, Choice('low', 'high')] = 'low'", False),
    ],
)
def test_a_resolution_is_measured_if_it_is_a_number_of_pixels(
    tmp_path: Path, declared: str, *, is_measured: bool
) -> None:
    (tmp_path / "net.py").write_text(
        "from typing import Annotated\nfrom tunesmith import Choice, Float, Int\n"
        f"def build(classes, channels, *, resolution: Annotated[{declared}): ...\n"
    )
    assert find_family(f"{tmp_path}/net.py:build").has_resolution is is_measured


LAZY = """
from torch import nn

def build(classes: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(),
                         nn.LazyLinear(classes))
"""


def test_lazy_layers_of_a_user_s_network_learn_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(LAZY)
    build = find_family(f"{tmp_path}/lazy.py:build").builder(3, 1, size=(8, 10), params={})
    network = build()
    assert network.training
    assert {p.shape for p in network.parameters()} >= {(4, 1, 3, 3), (3, 4 * 6 * 8)}
    assert network(torch.zeros(2, 1, 8, 10)).shape == (2, 3)


def test_a_lazy_network_that_raises_is_told(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(LAZY.replace("(4, 3)", "(4, 30)"))
    build = find_family(f"{tmp_path}/lazy.py:build").builder(3, 1, size=(8, 10), params={})
    with pytest.raises(ModelError, match=r"raised RuntimeError on images of shape \(2, 1, 8, 10\)"):
        build()


HIDDEN = """
from __future__ import annotations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

def build(classes: int, channels: int) -> nn.Module: ...
"""


def test_annotations_that_are_not_there_at_run_time_are_told(tmp_path: Path) -> None:
    (tmp_path / "hidden.py").write_text(HIDDEN)
    with pytest.raises(ModelError, match=r"annotations of `build` in .* NameError: .* outside of"):
        find_family(f"{tmp_path}/hidden.py:build")


def test_a_range_without_a_default_is_told_as_of_any_function(tmp_path: Path) -> None:
    (tmp_path / "ranged.py").write_text(
        "from typing import Annotated\n"
        "from tunesmith import Int\n"
        "def build(classes: int, channels: int, *, width: Annotated[int, Int(4, 64)]): ...\n"
    )
    with pytest.raises(SettingsError, match=r"default of `width` must lie in its range"):
        find_family(f"{tmp_path}/ranged.py:build")
