"""Results of short measurements: values, without the code that measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

SHIFT = 0.0625  # largest shift that is judged, and used if harmless, as a share of the side


@final
@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measured cost of one network on this machine.

    Attributes:
        images_per_s: Training throughput, augmentation included.
        share: Share of their time that threads ran on the cores in training.
        answers_per_s: Inference throughput on the CPU, in images per second.
        parameters: Number of trainable parameters.
        activation_bytes: Activation memory of one image in training.
        largest_batch: Batch that memory had room for, after it had run out with larger ones; None
            if it never did.
    """

    images_per_s: float
    share: float
    answers_per_s: float
    parameters: int
    activation_bytes: int
    largest_batch: int | None = None


def beyond_chance(accuracy: float, chance: float) -> float:
    """Rescale accuracy so that chance is 0.

    Example:
        >>> round(beyond_chance(0.95, 0.9), 2), beyond_chance(0.4, 0.5)
        (0.5, 0.0)

    """
    return max(0.0, accuracy - chance) / max(1e-9, 1 - chance)


@final
@dataclass(frozen=True, kw_only=True)
class Harm:
    """Accuracy, plain or balanced, of a briefly trained network on changed validation images.

    Attributes:
        plain: Accuracy on unchanged images.
        chance: Accuracy of always predicting the most frequent class.
        changed: Accuracy on changed images, by name of the change; none for the shift where it is
            less than a pixel.
        swapped: How much of two classes a mirroring exchanges at most (see `swapped`), by its name.
        images: Number of validation images; of balanced accuracy, of those that decide.
    """

    plain: float
    chance: float
    changed: Mapping[str, float]
    swapped: Mapping[str, float | None]
    images: int
