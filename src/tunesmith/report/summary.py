"""The numbers of a run, for programs: what ``result.json`` holds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.core.errors import RunFolderError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Score(_Part):
    """A metric on the test part, with its 95 % confidence interval."""

    metric: str
    value: float
    low: float
    high: float
    n: int


class Baseline(_Part):
    """Accuracy of two models that need no deep learning, on the same test images."""

    majority: float
    linear: float


class Model(_Part):
    """What was trained."""

    family: str
    parameters: int
    config: Mapping[str, Any]


class Counts(_Part):
    """Images in each part."""

    train: int
    validation: int
    selection: int
    calibration: int
    test: int


class Data(_Part):
    """What the data were."""

    counts: Counts
    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    quarantined: int
    skipped: Mapping[str, int]
    leaks: int
    suspects: int


class Exported(_Part):
    """A file that was handed over, and how it compares with the network."""

    format: str
    path: str
    max_abs_difference: float
    agreement: float
    images: int
    latency_ms: Mapping[str, float]
    threads: int


class Measures(_Part):
    """Everything measured on the test part."""

    accuracy: float
    balanced_accuracy: float
    log_loss: float
    roc_auc: float | None
    macro_f1: float
    ece_before: float
    ece_after: float
    temperature: float
    confusion: tuple[tuple[int, ...], ...]
    recall: tuple[float | None, ...]
    recall_interval: tuple[tuple[float, float], ...]


class Summary(_Part):
    """Everything a program may want to know of a run."""

    format: Literal[1] = 1
    status: Literal["finished", "interrupted"]
    reason: str
    budget_s: float
    wall_s: float
    phases: Mapping[str, float]
    score: Score
    test_openings: int
    baseline: Baseline
    trials: int
    model: Model
    data: Data
    exports: tuple[Exported, ...]
    measures: Measures
    notes: tuple[str, ...]
    seed: int
    examples: int
    images_per_s: float
    memory_peak_bytes: int
    versions: Mapping[str, str]


def to_json(summary: Summary) -> str:
    """Write a summary as JSON, ready for ``result.json``."""
    return json.dumps(summary.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def read_summary(path: str | os.PathLike[str]) -> Summary:
    """Read a run's ``result.json``.

    Raises:
        RunFolderError: There is none, or it is damaged.
    """
    try:
        return Summary.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise RunFolderError(
            f"{Path(path).parent} holds no finished run (no {Path(path).name}). Run `tunesmith fit` "
            "with it as --out first."
        ) from None
    except (OSError, ValidationError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON Schema of ``result.json``."""
    return Summary.model_json_schema()
