"""Tests of `tunesmith.models.custom`; whole runs with such networks are in `tests/jobs`."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tunesmith.core.errors import ModelError
from tunesmith.models.custom import call_factory, check_network, load_factory


def test_names_and_files_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"named as file.py:function, but got model='net.py:1x'"):
        load_factory("net.py:1x")
    with pytest.raises(ModelError, match=r"There is no file .*absent.py"):
        load_factory(f"{tmp_path}/absent.py:build")
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(ModelError, match=r"raised ZeroDivisionError when imported"):
        load_factory(f"{tmp_path}/broken.py:build")


def test_a_network_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "blocks_of_mine.py").write_text("")
    (tmp_path / "net.py").write_text("import blocks_of_mine")
    with pytest.raises(ModelError, match=r"must be one file, .* `blocks_of_mine`, .* into net\.py"):
        load_factory(f"{tmp_path}/net.py:build")
    (tmp_path / "layers_of_mine").mkdir()
    (tmp_path / "net.py").write_text("from layers_of_mine.norm import Norm")
    with pytest.raises(ModelError, match=r"must be one file, .* `layers_of_mine"):
        load_factory(f"{tmp_path}/net.py:build")
    (tmp_path / "net.py").write_text("import no_such_package")
    with pytest.raises(ModelError, match=r"raised ModuleNotFoundError when imported: No module"):
        load_factory(f"{tmp_path}/net.py:build")


def test_the_size_is_passed_to_those_who_ask() -> None:
    def build(classes: int, channels: int, *, size: tuple[int, int]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))

    network = call_factory(build, 3, 1, size=(4, 5), params={})
    assert network(torch.zeros(1, 1, 4, 5)).shape == (1, 3)


def test_a_network_with_nothing_to_train() -> None:
    with pytest.raises(ModelError, match="no trainable parameter"):
        check_network(nn.Flatten(), torch.zeros(2, 1, 8, 8), 3)


def test_a_network_that_raises() -> None:
    with pytest.raises(ModelError, match=r"raised RuntimeError on images of shape \(2, 1, 8, 8\)"):
        check_network(nn.Linear(3, 3), torch.zeros(2, 1, 8, 8), 3)
