"""Settings of data augmentation, without the code that applies them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from tunesmith.core.space import Choice, Float

BOTH = (False, True)


class Augmentation(BaseModel):
    """Augmentation strengths. Zero and False turn a transform off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: Annotated[float, Float(0.0, 0.25)] = 0.0
    """Largest shift, as a share of the side."""
    rotate: Annotated[float, Float(0.0, 45.0)] = 0.0
    """Largest rotation, in degrees."""
    scale: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest relative change of size."""
    flip: Annotated[bool, Choice(*BOTH)] = False
    """Horizontal flip, in every other epoch of an image."""
    flip_vertical: Annotated[bool, Choice(*BOTH)] = False
    """Vertical flip, at random."""
    brightness: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest change of brightness, in standard deviations of the data."""
    contrast: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest relative change of contrast around an image's mean."""
    cutout: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Side of a square set to the mean color, as a share of the image's side."""
