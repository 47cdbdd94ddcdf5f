"""The result of `fit`."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import nn

from tunesmith.bundle.manifest import BUNDLE, read_manifest
from tunesmith.core.errors import BundleError, RunFolderError
from tunesmith.jobs.run.module import load_module
from tunesmith.report.sentences import told
from tunesmith.report.summary import Summary, read_summary


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of a finished run.

    Attributes:
        folder: The run's folder.
        summary: The numbers, as in ``result.json``.
        is_new: Whether this call trained it; False if the run was finished before.
    """

    folder: Path
    summary: Summary
    is_new: bool = True

    @property
    def score(self) -> float:
        """Metric on the test set, measured on the exported graph."""
        return self.summary.score.value

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the score."""
        return self.summary.score.low, self.summary.score.high

    @property
    def report(self) -> Path:
        """Path of the report, one self-contained HTML file."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """Path of the bundle: a folder with graph, weights, manifest and model card."""
        return self.folder / BUNDLE

    def module(self) -> nn.Module:
        """Rebuild the network: uint8 ``(N, H, W, C)`` to probabilities ``(N, K)``."""
        return load_module(self.bundle)

    def as_json(self) -> str:
        """Return the numbers as JSON."""
        return json.dumps(self.summary.model_dump(mode="json"))

    def words(self) -> str:
        """Summarize the score, and name the paths of report and bundle."""
        return f"{told(self.summary)}\nreport  {self.report}\nbundle  {self.bundle}"


def handed_over(folder: Path) -> Result | None:
    """Load the result of an earlier session; None if a part of it is missing or damaged."""
    with contextlib.suppress(RunFolderError, BundleError, OSError):
        summary = read_summary(folder / "result.json")
        found = Result(folder=folder, summary=summary, is_new=False)
        read_manifest(found.bundle)  # this checks every file of it
        if found.report.is_file():
            return found
    return None
