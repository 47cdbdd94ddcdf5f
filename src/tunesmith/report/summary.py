"""The numbers of a run, for programs: what ``result.json`` holds."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.bundle.manifest import Score
from tunesmith.core.ending import EndReason
from tunesmith.core.errors import RunFolderError
from tunesmith.core.files import replace_file
from tunesmith.core.words import writable
from tunesmith.evaluation.metrics import Evaluation


class _Part(BaseModel):
    # JSON has no infinity and no NaN; refused here, they cannot become null on the way.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class Baseline(_Part):
    """Accuracy of two models that need no deep learning, on the test images.

    ``majority`` always answers the most frequent class; ``linear`` is tested on some of the images.
    """

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
    """What the data were.

    ``size`` is the height and width that the network reads. ``quarantined`` files could not be
    read, ``skipped`` ones are no images (by reason), ``leaks`` are training images dropped since
    a test image is the same, exactly or nearly; ``conflicts`` are images of whose copies as
    many or more bear another label, ``copies`` those that are there more than once, and
    ``suspects`` test images whose label looks wrong.
    """

    counts: Counts
    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    quarantined: int
    skipped: Mapping[str, int]
    leaks: int
    conflicts: int
    copies: int
    suspects: int


class Exported(_Part):
    """A file that was handed over, and how it compares with the network.

    ``agreement`` is the share of ``images`` real images with the same answer; ``latency_ms`` is
    keyed by the batch size.
    """

    format: str
    path: str
    max_abs_difference: float
    agreement: float
    images: int
    latency_ms: Mapping[str, float]
    threads: int


class Measures(_Part):
    """Everything measured on the test part, on the calibrated probabilities.

    ``ece_before`` is the expected calibration error without the temperature, ``ece_after`` with it.
    ``confusion`` has a row for each true class and a column for each predicted one.
    """

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

    @classmethod
    def of(cls, evaluation: Evaluation, *, ece_before: float, temperature: float) -> Self:
        """Make them from the evaluation of calibrated probabilities."""
        found = asdict(evaluation)
        for name in ("n", "low", "high"):
            del found[name]
        ece_after = found.pop("ece")
        return cls(**found, ece_before=ece_before, ece_after=ece_after, temperature=temperature)


class Search(_Part):
    """What a search for better settings than the plan's came to.

    ``method`` names the sampler and the scheduler. ``found`` are the best settings other than the
    plan's, None if none had a value, and ``answers`` says whose network answers: that of the
    ``plan``, the ``found`` one, or both ``together``. ``finalists`` are the log losses of the best
    settings, once cooled down, by the numbers of their trials (each class counted alike, where the
    metric does so); none if there was no time to compare them.
    ``chance`` is the probability that equally good networks differ as much on the images that
    decided, times the number of finalists that were compared on these too, and ``luck`` by how
    much more the found one gained on the images that the search chose by than on others, as a
    share of them, with its standard error; None where that was not measured.
    """

    trials: int
    failed: int
    method: str
    seconds: float
    found: Mapping[str, Any] | None
    finalists: Mapping[int, float]
    answers: Literal["plan", "found", "together"]
    chance: float | None
    luck: float | None
    luck_error: float | None


class Summary(_Part):
    """Everything a program may want to know of a run.

    Seconds are live seconds of the run, all sessions together; ``phases`` says where they went.
    ``examples`` were seen by the model that is handed over, ``images_per_s`` on average.
    ``cross_validation`` is the score of training images, each predicted by a network that was
    trained without its fold, or whose last layer alone was fitted without it (``notes`` then say
    so); None if these are no more than the test images.
    """

    format: Literal[1] = 1
    status: Literal["finished", "interrupted"]
    reason: EndReason
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
    evaluation: Measures
    notes: tuple[str, ...]
    seed: int
    examples: int
    images_per_s: float
    memory_peak_bytes: int
    versions: Mapping[str, str]
    search: Search | None = None
    cross_validation: Score | None = None

    def words(self) -> str:
        """State the score, and that of the cross-validation if there is one, a line each."""
        lines = [self.score.words("test images")]
        if self.cross_validation is not None:
            lines.append(f"cross-validation: {self.cross_validation.words('training images')}")
        return "\n".join(lines)


def to_json(summary: Summary) -> str:
    """Write a summary as JSON, ready for ``result.json``.

    Names that are invalid Unicode, as in old file systems, are escaped.
    """
    text = json.dumps(summary.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    return writable(text, "\\\\")


def write_summary(path: str | os.PathLike[str], summary: Summary) -> None:
    """Write ``result.json`` atomically: readers see the old file or the new one, complete.

    Raises:
        RunFolderError: The folder cannot be written, or the disk is full.
    """
    target = Path(path)
    try:
        replace_file(target, to_json(summary).encode())
    except OSError as error:
        raise RunFolderError(
            f"{target} cannot be written: {error.strerror or error}. Make room or set its rights, "
            "or choose another folder with --out."
        ) from None


def read_summary(path: str | os.PathLike[str]) -> Summary:
    """Read a run's ``result.json``.

    Raises:
        RunFolderError: The file is missing or damaged.
    """
    path = Path(path)
    try:
        return Summary.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunFolderError(
            f"{path.parent} holds no finished run (no {path.name}). Run `tunesmith fit` with it as "
            "--out first."
        ) from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RunFolderError(
            f"{path} is damaged or of another version ({where}: {first['msg']}). Run the same "
            "`tunesmith fit` command again to write it anew; what another version of Tunesmith "
            "wrote, that one can read."
        ) from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``result.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Summary.model_json_schema(mode="serialization"),
    }
