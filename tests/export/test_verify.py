"""Tests of `tunesmith.export.verify`."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tunesmith.core.errors import ExportMismatchError
from tunesmith.export.verify import BATCHES, latency, verify

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 1, 3), dtype=np.uint8)


class Shares(nn.Module):
    """Each channel's share of the light, plus a constant: small enough to write by hand."""

    def __init__(self, shift: float | list[float] = 0.0) -> None:
        super().__init__()
        self.shift = torch.tensor(shift)

    def forward(self, images: Tensor) -> Tensor:
        return torch.softmax(images.float().mean((1, 2)) / 255, dim=1) + self.shift


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write the graph of `Shares` by hand."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "most"], ["scaled"]),
            helper.make_node("Softmax", ["scaled"], ["probabilities"], axis=1),
        ],
        "shares",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(np.array(255, np.float32), "most"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_equal_graphs_pass(path: Path) -> None:
    verified = verify(Shares(), path, [IMAGES[:4], IMAGES[4:]], threads=1)
    assert (verified.agreement, verified.images) == (1, 6)
    assert verified.max_abs_difference < 1e-6


@pytest.mark.parametrize("shift", [2e-4, float("nan")])
def test_other_probabilities_are_refused(path: Path, shift: float) -> None:
    with pytest.raises(ExportMismatchError, match=r"within 0\.0001, but on 6 images the largest"):
        verify(Shares(shift), path, [IMAGES], threads=1)


def test_other_answers_are_refused(path: Path) -> None:
    red = np.full((6, 1, 1, 3), [200, 0, 0], np.uint8)
    with pytest.raises(ExportMismatchError, match="and 6 answers differ"):
        verify(Shares([-9.0, 9.0, 0.0]), path, [red], threads=1)


def test_a_tie_within_the_tolerance_is_no_disagreement(path: Path) -> None:
    gray = np.full((4, 2, 2, 3), 90, np.uint8)
    verified = verify(Shares([0.0, 5e-5, 0.0]), path, [gray], threads=1)
    assert verified.agreement == 1


@pytest.mark.parametrize("batches", [[], [IMAGES[:0]]])
def test_no_image_is_no_proof(path: Path, batches: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(ExportMismatchError, match="at least one image, but there was none"):
        verify(Shares(), path, batches, threads=1)


def test_it_times_a_call(path: Path) -> None:
    measured = latency(path, IMAGES[0], threads=1)
    assert measured.threads == 1
    assert list(measured.ms) == [str(batch) for batch in BATCHES] == ["1", "32"]
    assert all(ms > 0 for ms in measured.ms.values())


def test_large_images_are_compared_a_few_at_a_time(path: Path) -> None:
    seen: list[int] = []

    class Counting(Shares):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(len(images))
            return super().forward(images)

    large = np.random.default_rng(0).integers(0, 256, (7, 200, 300, 3), dtype=np.uint8)
    assert verify(Counting().eval(), path, [large], threads=1).images == 7
    assert sum(seen) == 7
    assert max(seen) < 3
