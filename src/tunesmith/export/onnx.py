"""From a network to one ONNX file, which carries its own preprocessing."""

import json
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import InternalError

ANY = torch.export.Dim.DYNAMIC


def prepare() -> None:
    """Import the exporter, which takes a second or two; a good job for a thread."""
    import onnx  # noqa: F401 (for the time that importing takes)
    import onnxscript  # noqa: F401 (the same)
    import torch.onnx._internal.exporter._core  # noqa: F401 (the same)


def metadata(*, classes: tuple[str, ...], size: tuple[int, int], version: str) -> dict[str, str]:
    """What a graph says about itself.

    Example:
        >>> metadata(classes=("a", "b"), size=(32, 24), version="1.0")["input_size"]
        '[32, 24]'

    """
    return {
        "classes": json.dumps(classes, ensure_ascii=False),
        "input_size": json.dumps(size),
        "tunesmith_version": version,
    }


def export(module: nn.Module, path: Path, *, example: Tensor, metadata: Mapping[str, str]) -> None:
    """Write a network as one ONNX file that holds its weights.

    Args:
        module: From uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``, in evaluation mode.
        path: The file; written aside, checked, then renamed.
        example: uint8 images ``(2, H, W, C)`` of any size; only their channels are kept.
        metadata: What the file says about itself; see `metadata`.

    Raises:
        InternalError: The network cannot be exported, or the result is no valid graph.
    """
    import onnx

    proto = _trace(module, example)
    onnx.helper.set_model_props(proto, dict(metadata))
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        raise InternalError(f"The exported graph is not valid ONNX: {error}") from error
    aside = path.with_name(f".{path.name}")
    with aside.open("wb") as file:
        file.write(proto.SerializeToString())
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _trace(module: nn.Module, example: Tensor) -> Any:
    """Run the exporter without its talk."""
    logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)
    # Of the exporter's own making.
    warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
    try:
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            optimize=False,  # onnxruntime does it when it loads the file, and faster
            verbose=False,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=({0: ANY, 1: ANY, 2: ANY},),
        )
    except torch.onnx.OnnxExporterError as error:
        raise InternalError(f"The network cannot be exported to ONNX: {error}") from error
    assert program is not None
    return program.model_proto
