"""What short measurements found: values, without the code that measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one network costs here.

    Attributes:
        images_per_s: Training throughput, augmentation included; 0 if memory ran out.
        share: Of their time in training that threads had on the cores.
        answers_per_s: Images answered, which needs no gradient.
        parameters: Trainable numbers.
        activation_bytes: What one training image keeps in memory until its gradient is done.
    """

    images_per_s: float
    share: float
    answers_per_s: float
    parameters: int
    activation_bytes: int


def beyond_chance(accuracy: float, chance: float) -> float:
    """Accuracy on a scale on which chance is 0.

    Example:
        >>> round(beyond_chance(0.95, 0.9), 2), beyond_chance(0.4, 0.5)
        (0.5, 0.0)

    """
    return max(0.0, accuracy - chance) / max(1e-9, 1 - chance)


@final
@dataclass(frozen=True, kw_only=True)
class Harm:
    """How a briefly trained network does on changed validation images.

    Attributes:
        plain: Accuracy on the images as they are.
        chance: Accuracy of always answering the commonest class.
        changed: Accuracy on changed images, by the change's name.
        images: How many were judged.
    """

    plain: float
    chance: float
    changed: Mapping[str, float]
    images: int
