"""Export a network to one ONNX file that includes its preprocessing.

Tracing takes seconds and needs no trained weights; writing takes milliseconds. A run can trace
before it trains, to detect early that a user-defined network cannot be exported.
"""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.core.errors import InternalError
from tunesmith.core.files import replace_file

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

EXPORTER = (
    "onnx",
    "onnxscript.function_libs.torch_lib.ops",  # the operators, a third of a second
    "torch._dynamo",  # this and the next are most of what the first trace would import
    "torch.export._trace",
    "torch.onnx._internal.exporter._core",
)
ANY = torch.export.Dim.DYNAMIC
BIAS = 2  # its index among the inputs of a convolution


def prepare() -> None:
    """Import the exporter, which takes a second or two; may run in a background thread.

    Tracing itself may not: it replaces methods of `nn.Module` for all threads, so that a network
    that trains meanwhile would be traced too.
    """
    for name in EXPORTER:
        importlib.import_module(name)


def metadata(*, classes: tuple[str, ...], size: tuple[int, int], version: str) -> dict[str, str]:
    """Build the metadata of a graph.

    Example:
        >>> metadata(classes=("a", "b"), size=(32, 24), version="1.0")["input_size"]
        '[32, 24]'

    """
    return {
        "classes": json.dumps(classes, ensure_ascii=False),
        "input_size": json.dumps(size),
        "tunesmith_version": version,
    }


@final
@dataclass(frozen=True, kw_only=True)
class Traced:
    """A traced graph, in which `write` sets the final weights.

    Attributes:
        graph: The ONNX model, with the weights that the network had when it was traced.
        names: Names of the network's weights and buffers that the graph uses.
    """

    graph: "ModelProto"
    names: frozenset[str]


def trace(module: nn.Module, example: Tensor) -> Traced:
    """Trace a network. Call it from the thread that trains, or while none does.

    Args:
        module: Network from uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``, in
            evaluation mode.
        example: uint8 images ``(2, H, W, C)``; N, H and W stay dynamic in the graph.

    Raises:
        InternalError: The network is in training mode, or cannot be exported.
    """
    if module.training:
        raise InternalError("A network must be in evaluation mode to be exported; call .eval().")
    talk = logging.getLogger("torch.onnx._internal.exporter")
    level = talk.level
    talk.setLevel(logging.ERROR)
    try:
        # The warnings are about the exporter's own code; nobody here can act on them.
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                # Keeps the names of the weights; onnxruntime optimizes when it loads the file.
                optimize=False,
                verbose=False,
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes=({0: ANY, 1: ANY, 2: ANY},),
            )
    except torch.onnx.OnnxExporterError as error:
        raise InternalError(f"The network cannot be exported to ONNX: {error}") from error
    finally:
        talk.setLevel(level)
    assert program is not None
    graph = program.model_proto
    _forget_origins(graph)
    _drop_zero_biases(graph)
    _fold_casts(graph)
    _drop_unused(graph)
    used = {tensor.name for tensor in graph.graph.initializer}
    return Traced(graph=graph, names=frozenset(used & module.state_dict().keys()))


def _forget_origins(graph: "ModelProto") -> None:
    """Remove the nodes' source references, which contain paths of the training machine."""
    for node in graph.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for function in graph.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")


def _drop_zero_biases(graph: "ModelProto") -> None:
    """Remove the zero biases that the exporter adds to convolutions without a bias.

    Each is a vector of zeros, computed from a constant at every call. It keeps onnxruntime from
    folding batch normalization into the convolution, and from its fastest memory layout: with the
    zeros, the graph takes 1.5 to 1.7 times as long.
    """
    makers = _makers(graph)
    for node in graph.graph.node:
        has_bias = node.op_type == "Conv" and len(node.input) == BIAS + 1
        if has_bias and _is_zero(node.input[BIAS], makers):
            del node.input[BIAS]


def _fold_casts(graph: "ModelProto") -> None:
    """Replace constants that are cast to the type of another value by constants of that type.

    Onnxruntime folds them only after it has chosen memory layouts. The bounds of a ReLU6 are such:
    with them, EfficientNet-Lite0 changes its layout before and after each, and takes 1.4 times as
    long.
    """
    import onnx

    types = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    makers = _makers(graph)
    for node in graph.graph.node:
        if node.op_type != "CastLike" or node.input[1] not in types:
            continue
        array = _constant(makers.get(node.input[0]))
        if array is not None:
            kind = onnx.helper.tensor_dtype_to_np_dtype(types[node.input[1]])
            value = onnx.numpy_helper.from_array(array.astype(kind))
            node.CopyFrom(onnx.helper.make_node("Constant", [], node.output, value=value))


def _drop_unused(graph: "ModelProto") -> None:
    """Remove the nodes whose output nobody reads; onnxruntime would still run some of them."""
    used = {value.name for value in graph.graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.graph.node):
        if not used.isdisjoint(node.output):
            used.update(_reads(node))
            kept.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(reversed(kept))


def _makers(graph: "ModelProto") -> "dict[str, NodeProto]":
    """Node that computes each value, by the value's name."""
    return {output: node for node in graph.graph.node for output in node.output}


def _reads(node: "NodeProto") -> Iterator[str]:
    """Names of a node's inputs, including those of branches and loop bodies."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for part in inner.node:
                yield from _reads(part)


def _is_zero(name: str, makers: "Mapping[str, NodeProto]") -> bool:
    """Whether a value is a constant 0, possibly cast and expanded."""
    node = makers.get(name)
    while node is not None and node.op_type in {"Cast", "CastLike", "Expand"}:
        node = makers.get(node.input[0])
    array = _constant(node)
    return array is not None and bool(np.all(array == 0))


def _constant(node: "NodeProto | None") -> NDArray[Any] | None:
    """The value of a constant; None of other nodes."""
    import onnx

    if node is None or node.op_type != "Constant":
        return None
    value = onnx.helper.get_attribute_value(node.attribute[0])
    return np.asarray(
        onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    )


def write(
    traced: Traced, state: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str]
) -> None:
    """Put a network's weights into its graph and write one ONNX file.

    Constants that tracing computed from a weight are not updated; `tunesmith.export.verify.verify`
    detects that.

    Args:
        traced: Traced graph. Its weights are replaced, so that it can be written again.
        state: The network's ``state_dict()``.
        path: File to write, atomically.
        metadata: Metadata of the file; see `metadata`.

    Raises:
        InternalError: The state is not that of the traced network (trace again), or the result is
            not a valid graph.
    """
    import onnx

    for tensor in traced.graph.graph.initializer:
        if tensor.name in traced.names:
            _replace(tensor, state.get(tensor.name))
    onnx.helper.set_model_props(traced.graph, dict(metadata))
    try:
        onnx.checker.check_model(traced.graph)
        content = traced.graph.SerializeToString()
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InternalError(f"The exported graph is not valid ONNX: {error}") from error
    replace_file(path, content)


def _replace(tensor: "TensorProto", value: Tensor | None) -> None:
    import onnx

    if value is None:
        raise InternalError(f"The graph needs `{tensor.name}`, which the state lacks. Trace again.")
    array = value.detach().cpu().contiguous().numpy()
    new = onnx.numpy_helper.from_array(array, tensor.name)
    if (list(new.dims), new.data_type) != (list(tensor.dims), tensor.data_type):
        raise InternalError(
            f"`{tensor.name}` was traced with shape {list(tensor.dims)}, and the state has it with "
            f"shape {list(new.dims)} and type {array.dtype}. Trace again."
        )
    tensor.CopyFrom(new)
