"""How strongly training images are changed: settings, without the code that changes them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from tunesmith.core.space import Choice, Float

BOTH = (False, True)


class Augmentation(BaseModel):
    """How strongly training images are changed. Zero and False leave them as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: Annotated[float, Float(0.0, 0.25)] = 0.0
    """Largest shift, as a share of the side."""
    rotate: Annotated[float, Float(0.0, 45.0)] = 0.0
    """Largest rotation, in degrees."""
    scale: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest relative change of size."""
    flip: Annotated[bool, Choice(*BOTH)] = False
    """Mirror left and right, in every other epoch of an image."""
    flip_vertical: Annotated[bool, Choice(*BOTH)] = False
    """Mirror top and bottom, by chance."""
    brightness: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest shift of all values, in standard deviations of the data."""
    contrast: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Largest relative change of the deviation from an image's mean."""
    cutout: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Side of a square set to the mean color, as a share of the image's side."""
