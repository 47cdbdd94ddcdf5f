"""What `fit` gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import nn

from tunesmith.jobs.module import load_module
from tunesmith.report.summary import Summary


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished run hands over.

    Attributes:
        folder: The run's folder.
        summary: The numbers, as in ``result.json``.
    """

    folder: Path
    summary: Summary

    @property
    def score(self) -> float:
        """The metric on the test part, measured on the exported graph."""
        return self.summary.score.value

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the score."""
        return self.summary.score.low, self.summary.score.high

    @property
    def report(self) -> Path:
        """The report, one self-contained HTML file."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """The folder to hand over: graph, weights, manifest, model card."""
        return self.folder / "bundle"

    def module(self) -> nn.Module:
        """Rebuild the network: uint8 ``(N, H, W, C)`` to probabilities ``(N, K)``."""
        return load_module(self.bundle)
