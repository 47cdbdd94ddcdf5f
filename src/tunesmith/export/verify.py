"""Compare an exported graph with its network, and measure its latency."""

import itertools
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.bundle.manifest import Latency
from tunesmith.bundle.predictor import MOST_VALUES, Graph
from tunesmith.core.errors import ExportMismatchError

TOLERANCE = 1e-4  # largest difference of a probability
BATCHES = (1, 32)
TIMING_S = 0.3  # seconds per batch size


@final
@dataclass(frozen=True, kw_only=True)
class Verified:
    """Comparison of a graph with its network.

    Attributes:
        max_abs_difference: Largest absolute difference of a probability.
        agreement: Share of images with the same predicted class.
        images: Number of images compared.
    """

    max_abs_difference: float
    agreement: float
    images: int


@torch.no_grad()
def verify(
    module: nn.Module, path: Path, batches: Iterable[NDArray[np.uint8]], *, threads: int
) -> Verified:
    """Compare a graph with its network on real images.

    Two classes whose probabilities differ by less than the tolerance are a tie, and either may be
    predicted.

    Args:
        module: Network from uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``, in
            evaluation mode.
        path: The exported graph.
        batches: Arrays of images; sizes may differ between batches.
        threads: Number of threads of the graph.

    Raises:
        ExportMismatchError: A probability differs by more than 1e-4, a predicted class differs, or
            there is no image.
    """
    graph = Graph(Path(path), threads=threads)
    worst, agreed, images = 0.0, 0, 0
    for x_NHWC in itertools.chain.from_iterable(map(_pieces, batches)):
        expected_NK = module(torch.from_numpy(np.ascontiguousarray(x_NHWC))).cpu().numpy()
        found_NK = graph.probabilities(x_NHWC)
        # A NaN on either side must fail too, and compares false with everything.
        difference = np.abs(expected_NK - found_NK).max(initial=0.0)
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
        rows = np.arange(len(x_NHWC))
        gap_N = expected_NK.max(1) - expected_NK[rows, found_NK.argmax(1)]
        agreed += int((gap_N <= TOLERANCE).sum())
        images += len(x_NHWC)
    if not images:
        raise ExportMismatchError(
            "The exported graph must be compared with the network on at least one image, but there "
            "was none."
        )
    if worst > TOLERANCE or agreed < images:
        raise ExportMismatchError(
            f"The exported graph must give the network's probabilities within {TOLERANCE}, but on "
            f"{images} images the largest difference is {worst:.2g}, and {images - agreed} answers "
            "differ."
        )
    return Verified(max_abs_difference=worst, agreement=agreed / images, images=images)


def _pieces(x_NHWC: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Split a batch so that the network's activations for each piece fit into memory."""
    count = min(len(x_NHWC), math.ceil(x_NHWC.size / MOST_VALUES))
    return np.array_split(x_NHWC, count) if count else []


def latency(path: Path, image_HWC: NDArray[np.uint8], *, threads: int) -> Latency:
    """Measure the latency of a graph at batch sizes 1 and 32.

    Args:
        path: The exported graph.
        image_HWC: A real image, repeated to fill a batch.
        threads: Number of threads of the graph.

    Returns:
        Median milliseconds per call; each batch size is measured for about 0.3 s.
    """
    graph = Graph(path, threads=threads)
    times = {batch: median(_seconds(graph, np.stack([image_HWC] * batch))) for batch in BATCHES}
    return Latency(ms={str(n): 1000 * seconds for n, seconds in times.items()}, threads=threads)


def fastest_ms(path: Path, image_HWC: NDArray[np.uint8], *, threads: int) -> float:
    """Shortest latency for one image: other load makes a call slower, never faster."""
    return 1000 * min(_seconds(Graph(path, threads=threads), image_HWC[None]))


def _seconds(graph: Graph, x_NHWC: NDArray[np.uint8]) -> list[float]:
    """Durations of repeated calls, as many as fit into `TIMING_S`."""
    times: list[float] = []
    end = time.perf_counter() + TIMING_S
    while not times or time.perf_counter() + times[-1] < end:
        begin = time.perf_counter()
        graph.probabilities(x_NHWC)
        times.append(time.perf_counter() - begin)
    # The first call also allocates; it counts only if it was the only one.
    return times[1:] or times
