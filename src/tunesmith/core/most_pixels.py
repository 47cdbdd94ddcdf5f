"""How many pixels an image may have."""

import os

from tunesmith.core.errors import SettingsError

VARIABLE, USUAL, LARGEST = "TUNESMITH_MOST_PIXELS", 40_000_000, 2**32


def most_pixels() -> int:
    """Read how many pixels an image may have from the environment variable.

    Raises:
        SettingsError: Its value is no number of pixels.
    """
    text = os.environ.get(VARIABLE, str(USUAL))
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= LARGEST:
        raise SettingsError(
            f"The environment variable {VARIABLE} is a whole number of pixels from 1 to "
            f"{LARGEST:,}, such as {USUAL}, but got {text!r}. Write all its digits, or unset it."
        )
    return count
