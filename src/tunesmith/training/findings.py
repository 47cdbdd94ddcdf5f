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


@final
@dataclass(frozen=True, kw_only=True)
class Harm:
    """How a briefly trained network does on changed validation images.

    Attributes:
        plain: Accuracy on the images as they are.
        changed: Accuracy on changed images, by the change's name.
        images: How many were judged.
    """

    plain: float
    changed: Mapping[str, float]
    images: int
