"""Everything the report tells, by value: whoever makes a `Story` needs no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.report.summary import Summary


@final
@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Training at one moment.

    Attributes:
        examples: Examples seen.
        loss: Mean training loss of the slice that ended here.
        rate: Multiplier of the learning rate.
    """

    examples: int
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
    """The model's answer to one test image.

    Attributes:
        name: The file.
        image: uint8 ``(H, W, C)``.
        true: Class it has.
        predicted: Class it was given.
        probability: Of the class it was given.
    """

    name: str
    image: NDArray[np.uint8]
    true: str
    predicted: str
    probability: float


@final
@dataclass(frozen=True, kw_only=True)
class Story:
    """What the report tells.

    Attributes:
        title: Name of the data.
        summary: The numbers.
        curve: Training of the model that is handed over.
        validation: Its validation, or that of the first fold for small data.
        samples: A few training images of each class (the first classes, if there are many).
        mistakes: Wrong answers, surest first.
        unsure: Answers with the lowest probability.
        quarantined: Files that could not be read, and why.
        leaked: Training images dropped since a test image has the same pixels.
        decisions: What was decided and on what grounds, in sentences.
        config: The exact configuration, as (name, value).
    """

    title: str
    summary: Summary
    curve: Sequence[CurvePoint]
    validation: Sequence[ValidationPoint]
    samples: Mapping[str, Sequence[NDArray[np.uint8]]]
    mistakes: Sequence[Answer]
    unsure: Sequence[Answer]
    quarantined: Sequence[tuple[str, str]]
    leaked: Sequence[tuple[str, NDArray[np.uint8]]]
    decisions: Sequence[str]
    config: Sequence[tuple[str, str]]
