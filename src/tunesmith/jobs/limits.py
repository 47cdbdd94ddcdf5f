"""What the graph of a network takes, held against what the user allows."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import nn

from tunesmith import plan as planning
from tunesmith.core.errors import LimitError
from tunesmith.core.settings import LATENCY, SIZE, Limit, Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.export import onnx, verify
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.tuning.within import OVER

UNITS: Mapping[Limit, str] = {LATENCY: "ms for one image", SIZE: "MB"}
# Of our own networks: the higher, the more they take; and what no such order is known of.
COSTLY = ("params.width", "params.depth", "params.expansion")
KINDS = ("params.block", "params.pooling", "params.head", "params.resolution_multiplier")


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a graph may take.

    Attributes:
        most: By kind: milliseconds for one image, megabytes of the file; only what is limited.
        threads: That the graph may use.
    """

    most: Mapping[Limit, float]
    threads: int

    def check(self, network: nn.Module, *, channels: int, size: tuple[int, int]) -> None:
        """Export a network as it would be handed over, and measure the graph.

        Args:
            network: Maps ``(N, C, *size)`` to logits; trained or not makes no difference.
            channels: Of the images.
            size: Height and width that it reads.

        Raises:
            LimitError: It takes more than it may.
        """
        blank = Normalize(torch.zeros(channels), torch.ones(channels))
        deployed = Deployed(network.cpu(), blank, size=size).eval()
        image_HWC = np.zeros((*size, channels), np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            traced = onnx.trace(deployed, torch.from_numpy(np.stack([image_HWC, image_HWC])))
            onnx.write(traced, deployed.state_dict(), path, metadata={})
            found = {SIZE: path.stat().st_size / 1e6}
            if LATENCY in self.most:
                found[LATENCY] = verify.latency(path, image_HWC, threads=self.threads).ms["1"]
        for kind, most in self.most.items():
            if found[kind] > most:
                raise LimitError(f"It takes {found[kind]:.3g} {UNITS[kind]}, {OVER} of {most:g}.")


def within(
    settings: Settings,
    data: Fingerprint,
    family: Family,
    speeds: Sequence[planning.Speed],
    *,
    threads: int,
) -> list[planning.Speed]:
    """Networks that keep to the limits: the widest one that does, and all narrower ones.

    Raises:
        LimitError: Not even the narrowest does.
    """
    limits = Limits(most=settings.limit, threads=threads)
    if not limits.most:
        return [*speeds]
    told = ""
    for width in sorted({speed.width for speed in speeds}, reverse=True):
        kept = [speed for speed in speeds if speed.width <= width]
        measured = {"width": width, "resolution": kept[0].resolution}
        params = {n: value for n, value in measured.items() if value} | {**settings.params}
        build = family.builder(data.classes, data.channels, size=kept[0].size, params=params)
        try:
            limits.check(build(), channels=data.channels, size=kept[0].size)
        except LimitError as error:
            told = str(error)
        else:
            return kept
    raise LimitError(
        f"No {family.name} is within --limit: the smallest was tried. {told} Raise the limit, or "
        "pass a smaller network of your own as --model file.py:function."
    )
