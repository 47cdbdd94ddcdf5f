"""Models that were trained on the data in question: their predictions and features."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.bundle.manifest import BUNDLE, MANIFEST_FILE
from tunesmith.bundle.predictor import Predictor, load
from tunesmith.core.errors import BundleError
from tunesmith.data.folders import listed
from tunesmith.jobs.run.module import load_module
from tunesmith.training.head import seen

Images = NDArray[np.uint8]


@final
@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model that has the same classes as the data.

    Attributes:
        name: Path of the model, as the user wrote it.
        bundle: Bundle folder.
        predictor: Runs the exported graph.
        place_K: Index of each of its classes among the data's classes.
    """

    name: str
    bundle: Path
    predictor: Predictor
    place_K: NDArray[np.int64]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what it reads; images of other sizes are resized to it."""
        given = self.predictor.manifest.input
        return given.height, given.width

    def answer(self, x_NHWC: Images) -> NDArray[np.int64]:
        """Predict the class of each image with the exported graph."""
        answers_N: NDArray[np.int64] = self.place_K[
            self.predictor.probabilities(x_NHWC).argmax(axis=1)
        ]
        return answers_N

    def see(self, x_NHWC: Images) -> NDArray[np.float32]:
        """Extract the input of the last layer, ``[N, D]``; D is 0 if that is no `nn.Linear`."""
        network = load_module(self.bundle)
        f_ND: NDArray[np.float32] = seen(
            network, torch.from_numpy(x_NHWC), len(self.place_K)
        ).numpy()
        return f_ND


def bundle_of(path: Path) -> Path:
    """Return the bundle in a run folder, or the path itself if it is a bundle."""
    inside = path / BUNDLE
    return inside if os.path.exists(inside / MANIFEST_FILE) else path  # noqa: PTH110 (pathlib's raises)


def open_trained(path: Path, classes: tuple[str, ...], channels: int) -> Trained:
    """Open a run's folder or a bundle.

    Args:
        path: Run folder, or bundle.
        classes: Class names of the data.
        channels: Number of channels of the images.

    Raises:
        BundleError: There is no bundle, it is damaged, or has other classes or channels.
    """
    bundle = bundle_of(path)
    predictor = load(bundle)
    if sorted(predictor.classes) != sorted(classes):
        raise BundleError(
            f"A model is tried on the data that it was trained on, but {path} knows the classes "
            f"{listed(predictor.classes)}, and the data have {listed(classes)}. Pass a run or a "
            "bundle of the same classes."
        )
    reads = predictor.manifest.input.channels
    if reads != channels:
        raise BundleError(
            f"A model is tried on images of the channels that it reads, but {path} reads {reads}, "
            f"and the data have {channels}. Pass a run or a bundle that was trained on them."
        )
    place_K = np.array([classes.index(name) for name in predictor.classes])
    return Trained(name=str(path), bundle=bundle, predictor=predictor, place_K=place_K)
