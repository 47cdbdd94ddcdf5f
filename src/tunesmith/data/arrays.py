"""Read images from arrays: in memory, and in ``.npz`` and IDX files."""

import lzma
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.folders import natural
from tunesmith.data.tables import MISSING
from tunesmith.data.unpack import check_size, unpacked

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
IDX_STEMS = {
    False: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    True: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
ENDS = ("", ".gz")
NPZ_KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("x_train", "y_train"),
    ("x", "y"),
    ("images", "labels"),
)
CHANNELS = (1, 3, 4)
MOST_DIMS = 4  # of an IDX file
# What a damaged .npz may raise. In zipfile, RuntimeError stands for encryption and for unknown
# compression methods; in NumPy, MemoryError for a shape, and the last three for a header.
DAMAGED = (
    OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError,
    MemoryError, OverflowError, TypeError, SyntaxError, tokenize.TokenError,
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Images in memory.

    Attributes:
        images: uint8 images ``(H, W, C)`` of equal or different sizes; one array if equal.
        labels: Class of each image, ``[N]``.
        classes: Names of the classes.
        is_test: Whether the files assign each image to the test set, ``[N]``.
    """

    images: Sequence[Pixels] | Pixels
    labels: Labels
    classes: tuple[str, ...]
    is_test: NDArray[np.bool_]


def from_arrays(x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Arrays:
    """Check images and labels; labels are integers or names.

    Args:
        x: uint8 images ``(N, H, W)`` or ``(N, H, W, C)`` with C of 1, 3 or 4.
        y: Labels ``(N,)``.
        x_test: Images of a test set, as in ``x``.
        y_test: Labels of a test set, as in ``y``.

    Raises:
        SourceError: A type or shape is wrong.

    Example:
        >>> from_arrays(np.zeros((2, 8, 8), np.uint8), ["b", "a"]).labels
        array([1, 0])

    """
    images, labels = _check_images(x), checked_labels(y, len(x))
    is_test = np.zeros(len(images), bool)
    if x_test is not None:
        more, more_labels = _check_images(x_test), checked_labels(y_test, len(x_test))
        if more.shape[1:] != images.shape[1:]:
            raise SourceError(
                f"Images of the training and of the test part must have one shape, but have "
                f"{images.shape[1:]} and {more.shape[1:]}. Pass arrays of one size."
            )
        images, labels = np.concatenate([images, more]), np.concatenate([labels, more_labels])
        is_test = np.concatenate([is_test, np.ones(len(more), bool)])
    numbers, classes = numbered(labels)
    return Arrays(images=images, labels=numbers, classes=classes, is_test=is_test)


def _check_images(x: Any) -> Pixels:
    try:
        images = np.asarray(x)
    except ValueError:  # NumPy's way to refuse a list of unequal arrays
        raise SourceError(
            "Images in arrays must all have one size, but got some of different sizes. Resize "
            "them, or pass a list of (image, label) pairs."
        ) from None
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
            f"{np.shape(x)}. If it is (N, C, H, W), pass X.transpose(0, 2, 3, 1)."
        )
    if 0 in images.shape:
        raise SourceError(f"There must be images to learn from, but got the shape {np.shape(x)}.")
    return images


def checked_labels(y: Any, count: int) -> NDArray[Any]:
    """Check labels, and return them as integers or texts.

    Raises:
        SourceError: Labels are missing, or are not one for each image, or are quantities.
    """
    try:
        labels = np.asarray(y)
    except ValueError:  # a list of unequal lists
        raise SourceError(
            f"There must be one label for each of the {count:,} images, but some have several. "
            "Choose one for each."
        ) from None
    # NumPy writes a NaN among texts as text: as in tables, that is no label.
    if labels.dtype.kind not in "biu" and (absent := sum(map(_is_missing, labels.flat))):
        raise SourceError(
            f"Every image needs a label, but {absent:,} of {labels.size:,} are None or NaN. Leave "
            "out the images without one."
        )
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise SourceError(
            f"There must be one label for each of the {count:,} images, but got labels of shape "
            f"{labels.shape}. If they are one-hot, pass y.argmax(axis=1), or the argmax of each."
        )
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        odd = labels[~(np.isfinite(labels) & (labels == np.rint(labels)))][0]
        raise SourceError(
            f"Labels must be whole numbers or names, but one is {odd}. Predicting quantities is "
            "not supported: pass a class for each image."
        )
    return labels.astype(np.int64) if labels.dtype.kind in "fbui" else labels.astype(str)


def _is_missing(label: object) -> bool:
    return label is None or str(label).lower() in MISSING


def numbered(labels: NDArray[Any]) -> tuple[Labels, tuple[str, ...]]:
    """Map labels to class indices, in numeric order, or in natural order of names."""
    found, inverse_N = np.unique(labels, return_inverse=True)
    names = [str(label) for label in found]
    order = sorted(range(len(names)), key=lambda k: natural(names[k]))
    order = order if labels.dtype.kind == "U" else list(range(len(names)))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return rank[inverse_N], tuple(names[k] for k in order)


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds MNIST-style files."""
    # os.path returns False where pathlib raises: a folder may not be readable.
    return any(os.path.isfile(folder / f"{IDX_STEMS[False][0]}{end}") for end in ENDS)  # noqa: PTH113


def _read_idx_file(folder: Path, stem: str) -> NDArray[np.uint8]:
    """Read one IDX file of bytes (LeCun's format: magic, dimensions, data).

    Raises:
        SourceError: The file is missing or damaged.
    """
    path = next((p for e in ENDS if (p := folder / f"{stem}{e}").is_file()), None)
    if path is None:
        raise SourceError(f"{folder} has no {stem} (or {stem}.gz), which belongs to its images.")
    try:
        data = unpacked(path) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be unpacked: {error}. Fetch it again.") from None
    if data[:3] != b"\0\0\x08" or not 1 <= int.from_bytes(data[3:4]) <= MOST_DIMS:
        raise SourceError(f"{path} is no IDX file of bytes: it begins with {data[:4].hex()}.")
    dims = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i]) for i in range(dims))
    values = np.frombuffer(data[4 + 4 * dims :], np.uint8)
    if values.size != math.prod(shape):  # in Python's integers: NumPy's would overflow
        raise SourceError(
            f"{path} states the shape {shape} but holds {values.size:,} values. Fetch it again."
        )
    return values.reshape(shape)


def read_idx(folder: Path) -> Arrays:
    """Read MNIST-style files: ``train-images-idx3-ubyte``, its labels, and ``t10k-`` as test set.

    Raises:
        SourceError: A file is missing or damaged.
    """
    data: list[Any] = []
    for is_test, (image_stem, label_stem) in IDX_STEMS.items():
        if is_test and not any((folder / f"{image_stem}{end}").is_file() for end in ENDS):
            continue
        x, y = _read_idx_file(folder, image_stem), _read_idx_file(folder, label_stem)
        if len(x) != len(y):
            raise SourceError(
                f"{folder} must hold as many labels as images, but {image_stem} has {len(x):,} and "
                f"{label_stem} has {len(y):,}. Fetch both again."
            )
        data += [x, y]
    return from_arrays(*data)


def read_npz(path: Path) -> Arrays:
    """Read an ``.npz``: ``x_train, y_train[, x_test, y_test]``, or ``x, y``, or ``images, labels``.

    Raises:
        SourceError: The file is damaged, or has pickled objects or other keys.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            names = {name.removesuffix(".npy").lower(): name for name in opened.namelist()}
            chosen = next((keys for keys in NPZ_KEYS if set(keys) <= names.keys()), ())
            check_size(path, opened, [names[key] for key in chosen])
            found = [_read_member(opened, names[key]) for key in chosen]
    except SourceError:
        raise
    except DAMAGED as error:
        raise SourceError(
            f"{path} cannot be read as .npz: {str(error) or 'it is damaged'}. Save it with "
            "numpy.savez, without objects."
        ) from None
    if not found:
        keys = ", ".join(name.removesuffix(".npy") for name in names.values())
        raise SourceError(
            f"{path} must hold x_train and y_train (x_test, y_test), or x and y, or images and "
            f"labels, but holds: {keys or 'nothing'}. Save it again with such names."
        )
    return from_arrays(*found)


def _read_member(opened: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array to the end of its member, so that the checksum is verified.

    Raises:
        ValueError: The header claims less or more than there is; others of `DAMAGED` may occur.
    """
    with opened.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError(f"{name} holds more than its header says")
    return array
