"""A small bundle whose graph is written by hand: the share of each color in an image's light."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tunesmith.bundle.manifest import (
    GRAPH_FILE,
    Input,
    Latency,
    Manifest,
    ModelInfo,
    NetworkSource,
    Score,
    Training,
    write_manifest,
)

MANIFEST = Manifest(
    tunesmith_version="0.1.0",
    created="2026-01-02T03:04:05+00:00",
    classes=("blau", "grün", "紅"),
    input=Input(height=8, width=12, channels=3),
    temperature=1.25,
    score=Score(metric="accuracy", value=0.9, low=0.8, high=0.95, n=40),
    model=ModelInfo(
        family="net.py:build",
        parameters=1234,
        config={"width": 8},
        views=("as is",),
        source=NetworkSource(path="net.py", function="build", sha256="0" * 64),
    ),
    latency=Latency(ms={"1": 0.5, "32": 8.25}, threads=2),
    training=Training(examples=5000, seconds=12.5, seed=3),
)


def color_graph() -> onnx.ModelProto:
    """Write a graph that answers with the brightest channel, blue first."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
            helper.make_node("Gather", ["mean", "order"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "colors",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(np.array([2, 1, 0]), "order"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def manifest() -> Manifest:
    """Return a manifest that has not seen its bundle's files yet."""
    return MANIFEST


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Write a whole bundle."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / GRAPH_FILE).write_bytes(color_graph().SerializeToString())
    (folder / "model.safetensors").write_bytes(b"weights")
    write_manifest(folder, MANIFEST)
    return folder
