"""Cache of the exported graph's test set predictions: a resumed run need not evaluate again."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.records.folder import write_atomic

FILE = "answers.npz"
Answers = tuple[NDArray[np.int64], NDArray[np.float32]]


def _hash(graph: Path) -> str:
    return hashlib.sha256(graph.read_bytes()).hexdigest()


def keep(folder: Path, graph: Path, answers: Answers) -> None:
    """Cache the predictions of a graph.

    Args:
        folder: Run folder.
        graph: ONNX file of the graph; the cache is valid for this file only.
        answers: Indices of the test images in the decoded data ``(N,)``, and probabilities
            ``(N, K)``.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    places, p_NK = answers
    buffer = io.BytesIO()
    np.savez_compressed(buffer, places=places, probabilities=p_NK, graph=np.array(_hash(graph)))
    write_atomic(folder / FILE, buffer.getvalue())


def kept(folder: Path, graph: Path) -> Answers | None:
    """Return the cached predictions of this very graph; None if there are none."""
    if not (folder / FILE).exists():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        if str(file["graph"]) != _hash(graph):
            return None
        return file["places"], file["probabilities"]
