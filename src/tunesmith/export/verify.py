"""Compare an exported graph with the network it came from, and time it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.bundle.predictor import Graph
from tunesmith.core.errors import ExportMismatchError

TOLERANCE = 1e-4  # of a probability
TIMING_S = 0.3  # for each batch size


@final
@dataclass(frozen=True, kw_only=True)
class Verified:
    """How a graph compares with its network.

    Attributes:
        max_abs_difference: Largest difference between two probabilities.
        agreement: Share of images with the same answer.
        images: Images compared.
    """

    max_abs_difference: float
    agreement: float
    images: int


@torch.no_grad()
def verify(
    module: nn.Module, path: str | Path, batches: Iterable[NDArray[np.uint8]], *, threads: int
) -> Verified:
    """Compare a graph with its network on real images.

    Two classes whose probabilities differ by less than the tolerance are a tie, and may be
    answered either way.

    Args:
        module: From uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``, in evaluation mode.
        path: The exported graph.
        batches: Arrays of images; sizes may differ between batches.
        threads: Threads of the graph.

    Raises:
        ExportMismatchError: A probability differs by more than 1e-4, or an answer differs.
    """
    graph = Graph.load(path, threads=threads)
    worst, agreed, images = 0.0, 0, 0
    for x_NHWC in batches:
        expected_NK = module(torch.from_numpy(np.ascontiguousarray(x_NHWC))).cpu().numpy()
        found_NK = graph(x_NHWC)
        # A NaN on either side must fail too, and compares false with everything.
        difference = np.abs(expected_NK - found_NK).max(initial=0.0)
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
        rows = np.arange(len(x_NHWC))
        gap_N = expected_NK.max(1) - expected_NK[rows, found_NK.argmax(1)]
        agreed += int((gap_N <= TOLERANCE).sum())
        images += len(x_NHWC)
    if worst > TOLERANCE or agreed < images:
        raise ExportMismatchError(
            f"The exported graph must give the network's probabilities within {TOLERANCE}, but on "
            f"{images} images the largest difference is {worst:.2g}, and {images - agreed} answers "
            "differ."
        )
    return Verified(
        max_abs_difference=worst, agreement=agreed / images if images else 1.0, images=images
    )


def latency(
    path: str | Path,
    image_HWC: NDArray[np.uint8],
    *,
    batches: Sequence[int] = (1, 32),
    threads: int,
) -> dict[int, float]:
    """Time a graph.

    Args:
        path: The exported graph.
        image_HWC: A real image, repeated to fill a batch.
        batches: Batch sizes.
        threads: Threads of the graph.

    Returns:
        Median milliseconds of a call, by batch size; each is measured for about 0.3 s.
    """
    graph = Graph.load(path, threads=threads)
    return {batch: _median_ms(graph, np.stack([image_HWC] * batch)) for batch in batches}


def _median_ms(graph: Graph, x_NHWC: NDArray[np.uint8]) -> float:
    begin = time.perf_counter()
    graph(x_NHWC)  # the first call allocates; it is timed only if it uses up the time alone
    times = [time.perf_counter() - begin]
    end = time.perf_counter() + TIMING_S
    while (now := time.perf_counter()) < end - times[-1]:
        graph(x_NHWC)
        times.append(time.perf_counter() - now)
    return 1000 * median(times[1:] or times)
