"""Data sets that are known by name."""

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.optional import require

ELSEWHERE = ("mnist", "fashion-mnist", "cifar10")
NAMES = ("digits",)


def load_builtin(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Images, labels and classes of a data set that comes with an installed package.

    ``digits``: 1,797 handwritten digits of 8 x 8 pixels in 17 gray levels (Alpaydin and Kaynak
    1998), as scikit-learn ships them.

    Returns:
        uint8 ``(N, H, W, 1)``, int64 ``(N,)``, and the classes' names.

    Raises:
        SourceError: It does not come with a package.
    """
    if name in ELSEWHERE:
        raise SourceError(
            f"{name!r} does not come with Tunesmith. Pass the folder or .zip that holds its images "
            "(class folders, or the original IDX files)."
        )
    bunch = require("sklearn.datasets", extra="train").load_digits()
    x_NHW = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return x_NHW[..., None], bunch.target.astype(np.int64), tuple(map(str, range(10)))
