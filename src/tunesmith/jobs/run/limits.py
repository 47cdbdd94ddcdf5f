"""Check the exported graph of a network against the user's limits."""

import tempfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import nn

from tunesmith import plan as planning
from tunesmith.core.errors import InternalError, LimitError, ModelError
from tunesmith.core.settings import LATENCY, SIZE, Limit, Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.export import onnx, verify
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.training.slice import untrained
from tunesmith.tuning.within import OVER

UNITS: Mapping[Limit, str] = {LATENCY: "ms for one image", SIZE: "MB"}
# Of our own networks: parameters that increase the cost, and those without a known order of it.
COSTLY = ("params.width", "params.depth")
KINDS = ("params.block", "params.pooling", "params.head", "params.resolution_multiplier")


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on an exported graph.

    Attributes:
        most: Limits by kind: milliseconds for one image, megabytes of the file; only those that are
            set.
        threads: Number of threads that the graph may use.
    """

    most: Mapping[Limit, float]
    threads: int

    def check(
        self,
        network: nn.Module,
        *,
        channels: int,
        size: tuple[int, int],
        folder: Path | None = None,
    ) -> None:
        """Export a network as for deployment, and measure the graph.

        Args:
            network: Maps ``(N, C, *size)`` to logits; its weights make no difference.
            channels: Number of image channels.
            size: Height and width of the input.
            folder: Where to put the temporary graph, so that it is cleaned up with that folder if
                the process is killed; None for the system's temporary folder.

        Raises:
            LimitError: The graph exceeds a limit.
        """
        deployed, traced = _traced(network, channels=channels, size=size)
        image_HWC = np.zeros((*size, channels), np.uint8)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            path = Path(made) / "model.onnx"
            onnx.write(traced, deployed.state_dict(), path, metadata={})
            found = {SIZE: path.stat().st_size / 1e6}
            if LATENCY in self.most:
                found[LATENCY] = verify.fastest_ms(path, image_HWC, threads=self.threads)
        for kind, most in self.most.items():
            if found[kind] > most:
                raise LimitError(f"It takes {found[kind]:.3g} {UNITS[kind]}, {OVER} of {most:g}.")


def _traced(
    network: nn.Module, *, channels: int, size: tuple[int, int]
) -> tuple[Deployed, onnx.Traced]:
    """Trace a network as for deployment; its weights make no difference."""
    blank = Normalize(torch.zeros(channels), torch.ones(channels))
    deployed = Deployed(network.cpu(), blank, size=size).eval()
    # Not the input size, so that resizing is traced too.
    images_NHWC = torch.zeros((2, size[0] + 3, size[1] + 5, channels), dtype=torch.uint8)
    return deployed, onnx.trace(deployed, images_NHWC)


def check_export(network: nn.Module, *, channels: int, size: tuple[int, int]) -> None:
    """Check that a user's own network can be exported, before time is spent on it.

    Raises:
        ModelError: The network cannot be exported.
    """
    try:
        _traced(network, channels=channels, size=size)
    except InternalError as error:
        reason = next((line for line in str(error.__cause__).splitlines() if line.strip()), "")
        raise ModelError(
            f"Your network cannot be exported to ONNX: {reason} What it computes must not depend "
            "on the values of an image by `if` or `.item()`; use torch.where instead."
        ) from error


def within(
    settings: Settings,
    data: Fingerprint,
    family: Family,
    speeds: Sequence[planning.Speed],
    *,
    threads: int,
) -> list[planning.Speed]:
    """Keep the networks within the limits: the widest one that fits, and all narrower ones.

    Of several resolutions, the highest one that fits is kept.

    Raises:
        LimitError: Not even the smallest network fits.
    """
    limits = Limits(most=settings.limit, threads=threads)
    costs, told = sorted({_cost(speed) for speed in speeds}), {}

    def exceeds(cost: tuple[int, int]) -> bool:
        one = next(speed for speed in speeds if _cost(speed) == cost)
        params = {**one.params, **settings.params}
        build = family.builder(data.classes, data.channels, size=one.size, params=params)
        try:
            network = untrained(build, settings.seed)
            limits.check(network, channels=data.channels, size=one.size)
        except LimitError as error:
            told[cost] = str(error)
        return cost in told

    # A wider network costs more, so few of them need be exported.
    fitting = costs[: bisect_left(costs, True, key=exceeds)] if limits.most else costs  # noqa: FBT003
    if not fitting:
        raise LimitError(
            f"No {family.name} is within --limit: the smallest was tried. {told[costs[0]]} Raise "
            "the limit, or pass a smaller network of your own as --model file.py:function."
        )
    width, resolution = fitting[-1]
    return [each for each in speeds if each.width <= width and each.resolution == resolution]


def _cost(speed: planning.Speed) -> tuple[int, int]:
    """What orders a family's networks by their cost: one of both is the same for all of them."""
    return speed.width, speed.resolution
