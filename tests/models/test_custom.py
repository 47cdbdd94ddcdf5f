"""Tests of `tunesmith.models.custom`; whole runs with such networks are in `tests/jobs`."""

import errno
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.ipynb", b"{}", r"named as file\.py:function, .* `%%writefile net\.py`"),
        ("net.txt", b"", r"named as file\.py:function, but got model='.*net\.txt:build'\.$"),
        ("ends.py", b"import sys\nsys.exit(2)\n", r"SystemExit: 2\)\. .*`if __name__ =="),
        ("latin.py", b"# coding: latin-1\nNAME = 'br\xfccke'\n", r"in UTF-8, .* is 0xfc\. Save"),
    ],
)
def test_files_that_are_no_modules(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    for _ in range(2):
        with pytest.raises(ModelError, match=message):
            load_factory(f"{tmp_path / name}:build")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ModelError, match=r"net\.py cannot be read: Permission denied\. Check"):
        load_factory(f"{tmp_path}/net.py:build")


def test_a_file_runs_again_only_once_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("def build(classes, channels): ...\n")
    first, source = load_factory(f"{path}:build")
    assert load_factory(f"{path}:build") == (first, source)
    path.write_text("def build(classes, channels, depth=1): ...\n")
    second, changed = load_factory(f"{path}:build")
    assert second is not first
    assert changed.text == path.read_text()


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


def test_a_network_that_would_train_what_is_infinite() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    mask = nn.Parameter(torch.tensor([0.0, -torch.inf]))
    network.register_parameter("mask", mask)
    with pytest.raises(ModelError, match=r"must be finite, but `mask` has .*register_buffer"):
        check_network(network, torch.zeros(2, 1, 8, 8), 3)
    mask.requires_grad = False
    check_network(network, torch.zeros(2, 1, 8, 8), 3)


def test_a_network_that_raises() -> None:
    told = r"RuntimeError on images of shape \(2, 1, 8, 8\): .*[^.]\. If .* itself, .* `size`"
    with pytest.raises(ModelError, match=told):
        check_network(nn.Linear(3, 3), torch.zeros(2, 1, 8, 8), 3)


class Forgetful(nn.Module):
    """A network that leaves out features where it answers, too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        z_NK: Tensor = self.linear(F.dropout(x_NCHW.flatten(1)))
        return z_NK


def test_a_network_that_answers_by_chance() -> None:
    x_NCHW = torch.ones(2, 1, 8, 8)
    with pytest.raises(ModelError, match=r"different answers .* training=self\.training"):
        check_network(Forgetful(), x_NCHW, 3)
    check_network(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 3)), x_NCHW, 3)
