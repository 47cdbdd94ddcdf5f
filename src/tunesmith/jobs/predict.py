"""Predict files that nobody vouches for: they are decoded in processes with limits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.bundle.predictor import Prediction, cores, load
from tunesmith.data.decoder import Decoders


def predict(bundle: Path, files: Sequence[Path]) -> list[Prediction]:
    """Name the class of each image; of a folder, of all images below it.

    Raises:
        BundleError: The bundle is incomplete or damaged, or made by a newer Tunesmith.
        SourceError: A folder has no images.
    """
    model = load(bundle)

    def decode(encoded: bytes, channels: int) -> NDArray[np.uint8] | str:
        with decoders.one() as decoder:
            (image,) = decoder.decode([encoded], channels)
            return image if isinstance(image, str) else image.copy()

    with Decoders(cores()) as decoders:
        return model.predict(files, decode=decode)
