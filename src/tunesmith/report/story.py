"""The content of the report as values, independent of HTML."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.report.findings import Finding
from tunesmith.report.summary import Summary


@final
@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A point of the training curve.

    Attributes:
        examples: Examples seen.
        seconds: Seconds of training until here.
        loss: Mean training loss of the slice that ended here.
        rate: Multiplier of the learning rate.
    """

    examples: int
    seconds: float
    loss: float
    rate: float


@final
@dataclass(frozen=True, kw_only=True)
class ValidationPoint:
    """Averaged weights on validation images, after ``examples`` examples."""

    examples: int
    accuracy: float
    log_loss: float


@final
@dataclass(frozen=True, kw_only=True)
class Answer:
    """The model's prediction for one test image.

    Attributes:
        name: File name.
        image: uint8 ``(H, W, C)`` or ``(H, W)``; C is 1, 3 (RGB) or 4 (RGB and alpha).
        true: True class.
        predicted: Predicted class.
        probability: Probability of the predicted class.
    """

    name: str
    image: NDArray[np.uint8]
    true: str
    predicted: str
    probability: float


@final
@dataclass(frozen=True, kw_only=True)
class Bin:
    """Test images of similar confidence: how sure the model was, how often it was right."""

    confidence: float
    accuracy: float
    count: int


@final
@dataclass(frozen=True, kw_only=True)
class Usage:
    """One way of using the bundle: a title and the lines to type."""

    title: str
    code: str


@final
@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial of a search.

    Attributes:
        number: Number of the trial; trial 0 is what the search began with.
        values: Its settings that differ from trial 0, as (name, value).
        curve: Learning curve: (share of a full training, metric).
        resumed: Points of the curve at which it was paused, and resumed after slices of others.
        seconds: Seconds of training.
        state: Finished, paused, or why it failed.
    """

    number: int
    values: Sequence[tuple[str, str]]
    curve: Sequence[tuple[float, float]]
    resumed: Sequence[tuple[float, float]] = ()
    seconds: float
    state: str


@final
@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of the tried values of a setting.

    Attributes:
        values: Range of the values, in words.
        trials: Number of trials in it.
        median: Median of their metric, after equal training.
        is_best: Whether it has the best median of all parts.
    """

    values: str
    trials: int
    median: float
    is_best: bool


@final
@dataclass(frozen=True, kw_only=True)
class SearchReport:
    """A search for a better config than the one that it began with.

    Attributes:
        trials: Trials, the best first.
        first: What trial 0 has, in words.
        found: Number of the trial whose settings were trained to the end; None if there is none.
        metric: Metric that trials are compared by.
        importance: Share of the differences between trials that each setting explains, given the
            others, of those that explain more than chance; empty if none does, or there were too
            few trials to tell.
        stretches: Parts of the tried values, for the most important settings.
        compared_at: Share of a full training after which trials are compared for these two.
        warnings: Settings whose best value is at an end of its range, one sentence each.
        reasons: How it ended, and why the final model was chosen, one sentence each.
    """

    trials: Sequence[Tried]
    first: str = "the plan's settings"
    found: int | None
    metric: str
    importance: Mapping[str, float]
    stretches: Mapping[str, Sequence[Stretch]]
    compared_at: float = 1.0
    warnings: Sequence[str]
    reasons: Sequence[str]


@final
@dataclass(frozen=True, kw_only=True)
class Story:
    """The content of the report; fields with a default may be left out.

    Attributes:
        title: Name of the data.
        summary: The numbers.
        curve: Training curve of the final model.
        validation: Validation curve, measured on ``validated_on``.
        validated_on: Images of the validation curve, in words.
        seen: Examples that its training saw; unlike ``summary.examples``, also where the network
            answers as it did before.
        columns: Names of a table's columns by role; empty for other data.
        samples: A few training images of each class (the first classes, if there are many).
        mistakes: Wrong predictions, the most confident first.
        unsure: Predictions with the lowest probability, lowest first.
        findings: What was found wrong with the data, the most serious first.
        fine: Checks that found nothing, one sentence each.
        plan: The plan, in sentences.
        hunt: The search for better settings, if there was one.
        before: Confidence and accuracy before temperature scaling; see `reliability`.
        after: The same after temperature scaling.
        fold_share: Examples that the networks of cross-validation saw, as a share of those that
            the final one saw; 1 if there was none.
        by_heads: Whether these were pretrained networks of which only the last layer was fitted.
        config: The exact configuration, as (name, value).
        usage: Ways of using the bundle; see `how_to_use`.
        command: Command line that started the run, or "".
        created: When the report was made, in readable form, or "".
    """

    title: str
    summary: Summary
    curve: Sequence[CurvePoint]
    validation: Sequence[ValidationPoint]
    validated_on: str = "validation images"
    seen: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Sequence[NDArray[np.uint8]]]
    mistakes: Sequence[Answer]
    unsure: Sequence[Answer]
    findings: Sequence[Finding] = ()
    fine: Sequence[str] = ()
    plan: Sequence[str] = ()
    hunt: SearchReport | None = None
    before: Sequence[Bin] = ()
    after: Sequence[Bin] = ()
    fold_share: float = 1.0
    by_heads: bool = False
    config: Sequence[tuple[str, str]] = ()
    usage: Sequence[Usage] = ()
    command: str = ""
    created: str = ""


def reliability(
    p_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64], *, bins: int = 10
) -> tuple[Bin, ...]:
    """Compare confidence with accuracy, in groups of equal numbers of images.

    Equal numbers, not equal widths (Nguyen and O'Connor 2015, arXiv:1508.05154): a good model is
    nearly always confident, which would leave most bins of equal width almost empty.

    Args:
        p_NK: Probabilities, a row for each image.
        y_N: True classes.
        bins: Maximum number of groups.

    Example:
        >>> p = np.array([[0.6, 0.4], [0.9, 0.1]])
        >>> [(b.confidence, b.accuracy) for b in reliability(p, np.array([1, 0]), bins=2)]
        [(0.6, 0.0), (0.9, 1.0)]

    """
    confidence_N = p_NK.max(1).astype(np.float64)
    right_N = p_NK.argmax(1) == y_N
    order = np.argsort(confidence_N, kind="stable")
    return tuple(
        Bin(
            confidence=float(confidence_N[rows].mean()),
            accuracy=float(right_N[rows].mean()),
            count=len(rows),
        )
        for rows in np.array_split(order, bins)
        if len(rows)
    )


def is_chance(bins: Sequence[Bin]) -> bool:
    """Whether chance explains by how much confidence and accuracy differ.

    If every probability is right, the right answers of a bin are binomial; their mean gap from the
    confidence is then rarely over its expectation by more than two standard deviations.

    Example:
        >>> [is_chance([Bin(confidence=0.9, accuracy=0.8, count=n)]) for n in (20, 2000)]
        [True, False]

    """
    n = max(1, sum(b.count for b in bins))
    gap = sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / n
    variances = [b.count * b.confidence * (1 - b.confidence) / n**2 for b in bins]
    # Of the absolute value of a normal variable: mean and variance.
    mean = math.sqrt(2 / math.pi) * sum(map(math.sqrt, variances))
    spread = math.sqrt((1 - 2 / math.pi) * sum(variances))
    return gap <= mean + 2 * spread


def how_to_use(bundle: str, *, channels: int, classes: int) -> tuple[Usage, ...]:
    """Describe how to use a bundle.

    Args:
        bundle: The bundle's folder, as its reader will type it.
        channels: Number of channels of the images.
        classes: Number of classes.
    """
    argument = shlex.quote(bundle)
    return (
        Usage(
            title="Python (needs no torch)",
            code=(
                "import tunesmith as ts\n\n"
                f"model = ts.load({bundle!r})\n"
                'for answer in model.predict(["a.jpg", "b.jpg"]):\n'
                "    print(answer.name, answer.label, answer.probability)"
            ),
        ),
        Usage(
            title="Command line",
            code=(
                f"tunesmith predict {argument} new_images/\n"
                f"tunesmith predict {argument} a.jpg b.jpg --json"
            ),
        ),
        Usage(
            title="ONNX, from any language",
            code=(
                f"{bundle}/model.onnx\n"
                f"input   images         uint8    [N, H, W, {channels}], any N, H, W\n"
                f"output  probabilities  float32  [N, {classes}]\n"
                "Resizing, normalization and softmax are inside the graph.\n"
                "Its metadata `classes` lists the class names, as JSON, in output order."
            ),
        ),
    )
