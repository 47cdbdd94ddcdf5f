"""Predict untrusted files: they are decoded in separate processes with resource limits."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.bundle.predictor import Prediction, load
from tunesmith.core.cores import cores
from tunesmith.data.decoder import Decoders
from tunesmith.data.folders import shown


def predict(bundle: Path, files: Sequence[Path]) -> list[Prediction]:
    """Predict the class of each image; of a folder, of all images below it.

    Raises:
        BundleError: The bundle is incomplete or damaged, or made by a newer Tunesmith.
    """
    model = load(bundle)

    def decode(encoded: bytes, channels: int) -> NDArray[np.uint8] | str:
        with decoders.one() as decoder:
            (image,) = decoder.decode([encoded], channels)
            return image if isinstance(image, str) else image.copy()

    with Decoders(cores()) as decoders:
        return model.predict(files, decode=decode)


def as_json(answers: Sequence[Prediction]) -> str:
    """Return the predictions as a JSON list; in ASCII, which preserves file names of any bytes."""
    return json.dumps([asdict(answer) for answer in answers])


def words(answers: Sequence[Prediction]) -> str:
    """Return a line for each file: name, class and probability, or why there is no prediction."""
    return "\n".join(
        f"{shown(a.name)}\tnot predicted: {a.error}"
        if a.label is None
        else f"{shown(a.name)}\t{shown(a.label)}\t{a.probability:.4f}"
        for a in answers
    )
