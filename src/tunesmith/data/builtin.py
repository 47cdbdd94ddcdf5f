"""Data sets that are known by name."""

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.core.optional import require
from tunesmith.data.arrays import Arrays, from_arrays

NAMES = ("digits",)
ELSEWHERE = ("mnist", "fashion-mnist", "cifar10")  # known, but not at hand


def load_builtin(name: str) -> Arrays:
    """Load a data set that comes with an installed package.

    ``digits``: 1,797 handwritten digits of 8 x 8 pixels in 17 gray levels (Alpaydin and Kaynak
    1998), as scikit-learn ships them, scaled from 0..16 to 0..255.

    Raises:
        SourceError: It does not come with a package.
        MissingExtraError: The package is not installed.

    Example:
        >>> load_builtin("digits").images.shape
        (1797, 8, 8, 1)

    """
    if name not in NAMES:
        raise SourceError(
            f"Data sets known by name are {', '.join(NAMES)}, but {name!r} does not come with "
            "Tunesmith. Pass the folder or .zip that holds its images (class folders or IDX)."
        )
    bunch = require("sklearn.datasets", extra="train").load_digits()
    return from_arrays(np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target)
