"""Read images from torch-style Datasets."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.data.arrays import CHANNELS, Arrays, Pixels, checked_labels, numbered

WHITE = 255


def from_dataset(dataset: Any) -> Arrays:
    """Read a torch-style Dataset of ``(image, label)`` pairs into memory.

    Images may be uint8 arrays, uint8 tensors or PIL images, or float tensors ``(C, H, W)`` from 0
    to 1; sizes may differ. Of PIL images with 16 bits the lower 8 are dropped, as of files.
    Class names are taken from ``dataset.classes``, if it has them.

    Raises:
        SourceError: The Dataset is empty, or an item is not such a pair.
    """
    images, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:  # noqa: PLR2004 (image and label)
            raise SourceError(
                f"Item {index} of the Dataset must be a pair (image, label), but is "
                f"{type(item).__name__}. Wrap the Dataset so that it gives pairs."
            )
        images.append(_pixels(item[0], index))
        labels.append(item[1].tolist() if hasattr(item[1], "tolist") else item[1])
    if not images:
        raise SourceError("The Dataset must hold images, but its length is 0.")
    given_N, named = checked_labels(labels, len(images)), _class_names(dataset)
    are_indices = given_N.dtype.kind == "i" and 0 <= given_N.min() <= given_N.max() < len(named)
    numbers, classes = (given_N, named) if are_indices else numbered(given_N)
    return Arrays(
        images=np.stack(images) if len({x.shape for x in images}) == 1 else images,
        labels=numbers,
        classes=classes,
        is_test=np.zeros(len(images), bool),
    )


def _class_names(dataset: Any) -> tuple[str, ...]:
    """Class names by index, if the Dataset lists them or maps them to indices, or indices to them.

    Others may call something else ``classes``, such as their number.
    """
    named = getattr(dataset, "classes", ())
    if isinstance(named, Mapping):
        pairs = [*named.items(), *((index, name) for name, index in named.items())]
        by_index: dict[Any, Any] = {
            index: name for index, name in pairs if isinstance(index, Integral)
        }
        named = [by_index.get(index) for index in range(len(named))]
        return () if None in named else tuple(map(str, named))
    return tuple(map(str, named)) if isinstance(named, list | tuple | np.ndarray) else ()


def _pixels(image: Any, index: int) -> Pixels:
    """Turn an item's image into pixels ``(H, W, C)``."""
    mode = image.mode if hasattr(image, "convert") else ""  # of a PIL image
    # Conversion would clip what has more than 8 bits: I and F in all their kinds.
    if mode and not mode.startswith(("I", "F")) and mode not in {"L", "RGB", "RGBA"}:
        image = image.convert("RGBA" if "A" in mode else "RGB")
    array = np.asarray(image)
    if mode.startswith("I;16"):  # read as those of a file are
        array = (array >> 8).astype(np.uint8)
    if array.ndim == 3 and array.shape[0] in CHANNELS:  # noqa: PLR2004 (C, H, W)
        is_tensor = hasattr(image, "permute")
        array = array.transpose(1, 2, 0) if is_tensor or array.shape[2] not in CHANNELS else array
    array = array[..., None] if array.ndim == 2 else array  # noqa: PLR2004 (H, W)
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        array = np.rint(array * WHITE).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in CHANNELS:  # noqa: PLR2004 (H, W, C)
        values = f" from {array.min()} to {array.max()}" if array.size else ""
        raise SourceError(
            f"Images of a Dataset must be PIL images of 8 or 16 bits, uint8, or floats from 0 to "
            f"1, with 1, 3 or 4 channels, but item {index} is {array.dtype} of shape "
            f"{np.shape(image)}{values}. Leave normalization out of its transform: Tunesmith does "
            "that itself."
        )
    return np.ascontiguousarray(array)
