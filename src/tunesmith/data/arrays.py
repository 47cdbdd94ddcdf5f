"""Images that are arrays already: in memory, in ``.npz`` and IDX files, in torch Datasets."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
IDX_STEMS = {
    False: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    True: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
CHANNELS = (1, 3, 4)


def check_arrays(x: Any, y: Any) -> tuple[Pixels, Labels, tuple[str, ...]]:
    """Check images and labels; labels may be numbers from 0 or anything that can be sorted.

    Returns:
        uint8 ``(N, H, W, C)``, int64 ``(N,)``, and the classes' names.

    Raises:
        SourceError: Their types or shapes do not fit.
    """
    images, labels = np.asarray(x), np.asarray(y)
    if images.dtype != np.uint8:
        raise SourceError(
            f"Images must be uint8 from 0 to 255, but got {images.dtype}. If they are floats from "
            "0 to 1, pass (255 * X).round().astype('uint8')."
        )
    if images.ndim == 3:  # noqa: PLR2004 (gray images without a channel)
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in CHANNELS:  # noqa: PLR2004 (N, H, W, C)
        raise SourceError(
            f"Images must have the shape (N, H, W) or (N, H, W, C) with C of 1, 3 or 4, but got "
            f"{np.asarray(x).shape}."
        )
    if labels.shape != (len(images),):
        raise SourceError(
            f"There must be one label for each of the {len(images):,} images, but got labels of "
            f"shape {labels.shape}."
        )
    if np.issubdtype(labels.dtype, np.integer):
        if len(labels) and labels.min() < 0:
            raise SourceError(f"Labels must be 0 or more, but got {labels.min()}.")
        numbers = labels.astype(np.int64)
        return images, numbers, tuple(map(str, range(int(numbers.max(initial=-1)) + 1)))
    names, inverse = np.unique(labels.astype(str), return_inverse=True)
    return images, inverse.astype(np.int64), tuple(map(str, names))


def from_dataset(dataset: Any) -> tuple[Pixels, Labels, tuple[str, ...]]:
    """Read a torch-style Dataset of ``(image, label)`` pairs into memory.

    Images may be uint8 arrays or PIL images ``(H, W[, C])``, or float tensors ``(C, H, W)`` from 0
    to 1.

    Raises:
        SourceError: An item is no such pair, or images differ in shape.
    """
    images, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:  # noqa: PLR2004 (image and label)
            raise SourceError(
                f"Item {index} of the Dataset must be a pair (image, label), but is "
                f"{type(item).__name__}."
            )
        images.append(_pixels(item[0], index))
        labels.append(item[1])
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise SourceError(
            f"Images of a Dataset must have one shape, but these have {len(shapes)}, such as "
            f"{sorted(shapes)[:2]}. Pass the image folder itself: files may differ in size."
        )
    if not images:
        raise SourceError("The Dataset is empty.")
    return check_arrays(np.stack(images), np.asarray(labels))


def _pixels(image: Any, index: int) -> Pixels:
    array = np.asarray(image)
    if np.issubdtype(array.dtype, np.floating):
        if array.ndim != 3 or array.min() < 0 or array.max() > 1:  # noqa: PLR2004 (C, H, W)
            raise SourceError(
                f"Float images of a Dataset must be (C, H, W) from 0 to 1, before normalization, "
                f"but item {index} has shape {array.shape} and values from {array.min():.2f} to "
                f"{array.max():.2f}. Remove the normalization from its transform."
            )
        array = np.round(array.transpose(1, 2, 0) * 255).astype(np.uint8)
    elif array.ndim == 3 and array.shape[0] in CHANNELS and array.shape[2] not in CHANNELS:  # noqa: PLR2004 (C, H, W)
        array = array.transpose(1, 2, 0)
    return np.ascontiguousarray(array.astype(np.uint8, casting="safe"))


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds MNIST-style files."""
    return any((folder / f"{IDX_STEMS[False][0]}{end}").is_file() for end in ("", ".gz"))


def _read_idx_file(folder: Path, stem: str) -> NDArray[np.uint8]:
    """Read one IDX file of bytes (LeCun's format: magic, dimensions, data).

    Raises:
        SourceError: It is missing or damaged.
    """
    path = next((p for e in ("", ".gz") if (p := folder / f"{stem}{e}").is_file()), None)
    if path is None:
        raise SourceError(f"{folder} has no {stem} (or {stem}.gz), which belongs to its images.")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise SourceError(f"{path} cannot be unpacked: {error}. Fetch it again.") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08":  # noqa: PLR2004 (the magic number)
        raise SourceError(f"{path} is no IDX file of bytes: it begins with {data[:4].hex()}.")
    dims = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i]) for i in range(dims))
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dims)
    if values.size != int(np.prod(shape)):
        raise SourceError(
            f"{path} states the shape {shape} but holds {values.size:,} values. Fetch it again."
        )
    return values.reshape(shape)


def read_idx(folder: Path) -> tuple[Pixels, Labels, NDArray[np.bool_]]:
    """Read MNIST-style files: images, labels, and which of them are the test part."""
    images, labels, tests = [], [], []
    for is_test, (image_stem, label_stem) in IDX_STEMS.items():
        if is_test and not any((folder / f"{image_stem}{e}").is_file() for e in ("", ".gz")):
            continue
        x, y = _read_idx_file(folder, image_stem), _read_idx_file(folder, label_stem)
        if len(x) != len(y):
            raise SourceError(f"{folder}: {len(x):,} images but {len(y):,} labels in {label_stem}.")
        images.append(x.reshape(len(x), *x.shape[1:3], -1))
        labels.append(y.astype(np.int64))
        tests.append(np.full(len(y), is_test))
    return np.concatenate(images), np.concatenate(labels), np.concatenate(tests)


def read_npz(path: Path) -> tuple[Pixels, Labels, NDArray[np.bool_]]:
    """Read an ``.npz``: ``x_train, y_train[, x_test, y_test]``, or ``x, y``, or ``images, labels``.

    Raises:
        SourceError: It is damaged, has pickled objects, or other keys.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key.lower(): file[key] for key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{path} cannot be read as .npz: {error}.") from None
    for x_key, y_key in (("x_train", "y_train"), ("x", "y"), ("images", "labels")):
        if x_key in data and y_key in data:
            images, labels, _ = check_arrays(data[x_key], np.ravel(data[y_key]))
            break
    else:
        raise SourceError(
            f"{path} must hold x_train and y_train (x_test, y_test), or x and y, or images and "
            f"labels, but holds: {', '.join(data) or 'nothing'}."
        )
    is_test = np.zeros(len(labels), bool)
    if "x_test" in data and "y_test" in data:
        more, more_labels, _ = check_arrays(data["x_test"], np.ravel(data["y_test"]))
        images, labels = np.concatenate([images, more]), np.concatenate([labels, more_labels])
        is_test = np.concatenate([is_test, np.ones(len(more), bool)])
    return images, labels, is_test
