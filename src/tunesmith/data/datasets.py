"""Read images from torch-style Datasets."""

from typing import Any

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.data.arrays import CHANNELS, Arrays, Pixels, checked_labels, numbered

WHITE = 255


def from_dataset(dataset: Any) -> Arrays:
    """Read a torch-style Dataset of ``(image, label)`` pairs into memory.

    Images may be uint8 arrays, uint8 tensors or PIL images, or float tensors ``(C, H, W)`` from 0
    to 1; sizes may differ. Class names are taken from ``dataset.classes``, if it has them.

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
        labels.append(item[1].item() if hasattr(item[1], "item") else item[1])
    if not images:
        raise SourceError("The Dataset must hold images, but its length is 0.")
    numbers, classes = numbered(checked_labels(labels, len(images)))
    named = getattr(dataset, "classes", None)
    if named is not None and all(c.isdecimal() and int(c) < len(named) for c in classes):
        numbers = np.array([int(classes[k]) for k in numbers], np.int64)
        classes = tuple(map(str, named))
    return Arrays(
        images=np.stack(images) if len({x.shape for x in images}) == 1 else images,
        labels=numbers,
        classes=classes,
        is_test=np.zeros(len(images), bool),
    )


def _pixels(image: Any, index: int) -> Pixels:
    """Turn an item's image into pixels ``(H, W, C)``."""
    if hasattr(image, "convert") and image.mode not in {"L", "RGB", "RGBA"}:  # a PIL image
        image = image.convert("RGBA" if "A" in image.mode else "RGB")
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in CHANNELS:  # noqa: PLR2004 (C, H, W)
        is_tensor = hasattr(image, "permute")
        array = array.transpose(1, 2, 0) if is_tensor or array.shape[2] not in CHANNELS else array
    array = array[..., None] if array.ndim == 2 else array  # noqa: PLR2004 (H, W)
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        array = np.rint(array * WHITE).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in CHANNELS:  # noqa: PLR2004 (H, W, C)
        values = f" from {array.min()} to {array.max()}" if array.size else ""
        raise SourceError(
            f"Images of a Dataset must be PIL images, uint8, or floats from 0 to 1, with 1, 3 or 4 "
            f"channels, but item {index} is {array.dtype} of shape {np.shape(image)}{values}. "
            "Leave normalization out of its transform: Tunesmith does that itself."
        )
    return np.ascontiguousarray(array)
