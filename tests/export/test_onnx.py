"""Tests of `tunesmith.export.onnx`."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from tunesmith.bundle.predictor import Graph
from tunesmith.core.errors import InternalError
from tunesmith.export.onnx import Traced, _drop_unused, metadata, prepare, trace, write
from tunesmith.export.verify import verify
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.models.views import ALONE, CHOICES, ManyViews, View

ABOUT = metadata(classes=("a", "b", "ü"), size=(12, 10), version="1.0")


def deployed(*, seed: int, channels: int = 3, views: Sequence[View] = CHOICES[-1]) -> Deployed:
    """Make a small network whose every weight and buffer depends on the seed."""
    network = convnet(3, channels, size=(12, 10), width=8)
    normalize = Normalize(torch.zeros(channels), torch.ones(channels))
    module = Deployed(ManyViews(network, views), normalize, size=(12, 10))
    generator = torch.Generator().manual_seed(seed)
    for value in module.state_dict().values():
        value.copy_(0.2 + torch.rand(value.shape, generator=generator))
    module.normalize.std.fill_(60)
    module.normalize.mean.add_(100)
    return module.eval()


def example(channels: int = 3) -> Tensor:
    return torch.zeros(2, 12, 10, channels, dtype=torch.uint8)


@pytest.fixture(scope="module")
def traced() -> Traced:
    return trace(deployed(seed=0), example())


def test_a_graph_traced_early_gets_every_weight_that_came_later(
    traced: Traced, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    sizes = [(1, 12, 10), (5, 12, 10), (3, 31, 8), (2, 7, 40)]
    batches = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    for seed in (1, 2):
        later = deployed(seed=seed)
        write(traced, later.state_dict(), tmp_path / "model.onnx", metadata=ABOUT)
        verified = verify(later, tmp_path / "model.onnx", batches, threads=1)
        assert verified.images == 11
        assert verified.agreement == 1


def test_all_of_the_networks_state_is_in_the_graph(traced: Traced) -> None:
    assert traced.names == deployed(seed=0).state_dict().keys()


def test_the_graph_keeps_its_contract(traced: Traced, tmp_path: Path) -> None:
    write(traced, deployed(seed=1).state_dict(), tmp_path / "model.onnx", metadata=ABOUT)
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    (given,), (output,) = model.graph.input, model.graph.output
    assert (given.name, output.name) == ("images", "probabilities")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    free = [bool(d.dim_param) for d in given.type.tensor_type.shape.dim]
    assert free == [True, True, True, False]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["classes"]) == ["a", "b", "ü"]
    assert json.loads(about["input_size"]) == [12, 10]
    assert about["tunesmith_version"] == "1.0"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_file_names_no_folder_of_this_machine(traced: Traced, tmp_path: Path) -> None:
    write(traced, deployed(seed=1).state_dict(), tmp_path / "model.onnx", metadata=ABOUT)
    content = (tmp_path / "model.onnx").read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in content
    assert b"preprocess.py" not in content


def test_onnxruntime_can_fold_batch_normalization_into_convolutions(
    traced: Traced, tmp_path: Path
) -> None:
    write(traced, deployed(seed=1).state_dict(), tmp_path / "model.onnx", metadata=ABOUT)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4  # it warns that the file fits this machine alone
    onnxruntime.InferenceSession(tmp_path / "model.onnx", options)
    before, after = (onnx.load(tmp_path / name).graph for name in ("model.onnx", "optimized.onnx"))
    assert not {"CastLike", "Expand"} & {node.op_type for node in before.node}
    for graph, folded in ((before, False), (after, True)):
        convolved = {node.output[0] for node in graph.node if node.op_type == "Conv"}
        reads = {node.input[0] for node in graph.node if node.op_type == "BatchNormalization"}
        assert convolved.isdisjoint(reads) == folded


def test_a_bias_that_is_not_zero_stays(tmp_path: Path) -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 3, 1, 1))

        def forward(self, images: Tensor) -> Tensor:
            x_NCHW = images.permute(0, 3, 1, 2).float() / 255
            ones = torch.ones(3, dtype=torch.uint8).float()
            z_NCHW = nn.functional.conv2d(x_NCHW, self.weight, ones * torch.tensor([0.0, 1.0, 0.0]))
            return torch.softmax(nn.functional.conv2d(z_NCHW, self.weight).mean((2, 3)), dim=1)

    module, path = Biased().eval(), tmp_path / "model.onnx"
    write(trace(module, example()), module.state_dict(), path, metadata=ABOUT)
    x_NHWC = np.random.default_rng(0).integers(0, 256, (4, 9, 14, 3), dtype=np.uint8)
    assert verify(module, path, [x_NHWC], threads=1).agreement == 1


def test_bounds_are_constants_so_that_they_join_their_convolutions(tmp_path: Path) -> None:
    class Bounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU6(), nn.Conv2d(8, 8, 3))

        def forward(self, images: Tensor) -> Tensor:
            x_NCHW = images.permute(0, 3, 1, 2).float()
            y_NCHW = self.convs(x_NCHW).clamp(-0.5, 0.5)
            return torch.softmax(y_NCHW.mean((2, 3)), dim=1)

    module, path = Bounded().eval(), tmp_path / "model.onnx"
    write(trace(module, example()), module.state_dict(), path, metadata=ABOUT)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options)
    before, after = (
        {node.op_type for node in onnx.load(tmp_path / name).graph.node}
        for name in ("model.onnx", "optimized.onnx")
    )
    assert "Clip" in before
    assert "CastLike" not in before
    assert "Clip" not in after
    x_NHWC = np.random.default_rng(0).integers(0, 256, (4, 9, 14, 3), dtype=np.uint8)
    assert verify(module, path, [x_NHWC], threads=1).agreement == 1


def test_branches_keep_what_they_read() -> None:
    value = helper.make_tensor_value_info
    branch = helper.make_graph(
        [helper.make_node("Identity", ["outer"], ["inner"])],
        "branch",
        [],
        [value("inner", TensorProto.FLOAT, [1])],
    )
    nodes = [
        helper.make_node("Abs", ["x"], ["outer"]),
        helper.make_node("Neg", ["x"], ["unused"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "choice",
            [value("x", TensorProto.FLOAT, [1]), value("yes", TensorProto.BOOL, [])],
            [value("y", TensorProto.FLOAT, [1])],
        )
    )
    _drop_unused(model)
    assert [node.op_type for node in model.graph.node] == ["Abs", "If"]
    onnx.checker.check_model(model)


@pytest.mark.parametrize(
    "params",
    [
        {"block": "residual", "pooling": "average", "head": "both"},
        {"block": "residual", "pooling": "max", "head": "average", "resolution_multiplier": 0.75},
        {"block": "plain", "pooling": "stride", "depth": 3},
    ],
)
def test_every_structure_is_the_same_in_the_graph(params: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    normalize = Normalize(torch.full((3,), 120.0), torch.full((3,), 60.0))
    network = convnet(3, 3, size=(16, 12), width=8, **params)
    module = Deployed(network, normalize, size=(16, 12))
    rng = np.random.default_rng(0)
    x_NHWC = rng.integers(0, 256, (6, 21, 14, 3), dtype=np.uint8)
    module(torch.from_numpy(x_NHWC))  # in training mode: statistics of batch normalization
    traced = trace(module.eval(), torch.from_numpy(x_NHWC[:2]))
    write(traced, module.state_dict(), tmp_path / "model.onnx", metadata=ABOUT)
    verified = verify(module, tmp_path / "model.onnx", [x_NHWC], threads=1)
    assert verified.agreement == 1


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_alpha_images(channels: int, tmp_path: Path) -> None:
    module = deployed(seed=3, channels=channels, views=ALONE)
    path = tmp_path / "model.onnx"
    write(trace(module, example(channels)), module.state_dict(), path, metadata=ABOUT)
    x_NHWC = np.random.default_rng(0).integers(0, 256, (4, 9, 14, channels), dtype=np.uint8)
    assert verify(module, path, [x_NHWC], threads=1).agreement == 1
    assert Graph(path, threads=1).channels == channels


def test_a_state_that_lacks_a_weight_is_refused(traced: Traced, tmp_path: Path) -> None:
    state = dict(deployed(seed=1).state_dict())
    del state["temperature"]
    with pytest.raises(InternalError, match=r"needs `temperature`, which the state lacks\. Trace"):
        write(traced, state, tmp_path / "model.onnx", metadata=ABOUT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [torch.ones(2), torch.ones((), dtype=torch.float64)])
def test_a_state_of_another_network_is_refused(
    traced: Traced, tmp_path: Path, other: Tensor
) -> None:
    state = deployed(seed=1).state_dict() | {"temperature": other}
    with pytest.raises(InternalError, match=r"`temperature` was traced with shape \[\], and the"):
        write(traced, state, tmp_path / "model.onnx", metadata=ABOUT)


def test_a_network_in_training_mode_is_refused() -> None:
    with pytest.raises(InternalError, match="must be in evaluation mode to be exported"):
        trace(deployed(seed=0).train(), example())


def test_a_network_that_no_graph_can_express_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            x_NC = images.float().mean((1, 2))
            return x_NC if x_NC.sum() > 0 else -x_NC

    with pytest.raises(InternalError, match="The network cannot be exported to ONNX"):
        trace(Branching().eval(), example())


def test_tracing_says_nothing_and_leaves_warnings_and_random_state_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    prepare()
    module = deployed(seed=0)
    filters, state = list(warnings.filters), torch.get_rng_state()
    trace(module, example())
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert list(warnings.filters) == filters
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
