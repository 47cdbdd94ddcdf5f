"""Predict files that nobody vouches for: they are decoded in processes with limits."""

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


def as_json(answers: Sequence[Prediction]) -> str:
    """A list for programs; in ASCII, by which names of any bytes come through as they are."""
    return json.dumps([asdict(answer) for answer in answers])


def words(answers: Sequence[Prediction]) -> str:
    """A line for each file: its name, its class and how probable that is, or why it has none."""
    return "\n".join(
        f"{shown(a.name)}\tnot predicted: {a.error}"
        if a.label is None
        else f"{shown(a.name)}\t{shown(a.label)}\t{a.probability:.4f}"
        for a in answers
    )
