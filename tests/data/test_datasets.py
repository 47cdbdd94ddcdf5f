"""Tests of `tunesmith.data.datasets`."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tunesmith.core.errors import SourceError
from tunesmith.core.pixels import decode
from tunesmith.data.datasets import from_dataset

X = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)


class Tensor:
    """What a torch tensor is to `from_dataset`."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        self.shape = values.shape
        self.permute = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return self.values


class Data(list[Any]):
    """A dataset that knows its classes' names."""

    classes = ("cat", "dog")


@pytest.mark.parametrize(
    "image",
    [
        X[:1].transpose(1, 2, 0),
        X[0],
        Tensor(X[:1]),
        Tensor((X[:1] / 255).astype(np.float32)),
        X[:1] / 255,
    ],
)
def test_images_of_a_dataset_become_pixels(image: Any) -> None:
    found = from_dataset([(image, 0), (image, 1)])
    assert np.array_equal(found.images[1], X[0][..., None])


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_images_of_16_bits_lose_their_lower_8_as_files_do(mode: str) -> None:
    x_HW = (np.arange(15, dtype=np.uint16) * 4369).reshape(3, 5)
    image = Image.fromarray(x_HW.astype(np.int32)).convert(mode)
    found = from_dataset([(image, 0)]).images[0]
    assert np.array_equal(found, decode(cv2.imencode(".png", x_HW)[1].tobytes()))


def test_images_of_floats_are_read_as_arrays_of_floats() -> None:
    x_HW = (X[0] / 255).astype(np.float32)
    assert np.array_equal(from_dataset([(Image.fromarray(x_HW), 0)]).images[0], X[0][..., None])
    with pytest.raises(SourceError, match=r"item 0 is float32 .* from 0\.0 to 255\.0"):
        from_dataset([(Image.fromarray(255 * x_HW / x_HW.max()), 0)])
    with pytest.raises(SourceError, match=r"PIL images of 8 or 16 bits.* but item 0 is int32"):
        from_dataset([(Image.fromarray(X[0].astype(np.int32)), 0)])


def test_other_images_of_8_bits_are_converted() -> None:
    image = Image.fromarray(X[0])
    for mode, channels in {"P": 3, "1": 3, "CMYK": 3, "LA": 4}.items():
        assert from_dataset([(image.convert(mode), 0)]).images[0].shape == (3, 5, channels)


def test_a_tensor_of_three_columns_is_not_mistaken() -> None:
    x_CHW = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(from_dataset([(Tensor(x_CHW), 0)]).images[0], x_CHW.transpose(1, 2, 0))


def test_a_real_torch_dataset_is_read() -> None:
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("torch.utils.data")
    x_NCHW = torch.arange(4 * 3 * 2 * 2, dtype=torch.uint8).reshape(4, 3, 2, 2)
    found = from_dataset(data.TensorDataset(x_NCHW, torch.tensor([5, 6, 5, 6])))
    assert np.array_equal(np.asarray(found.images), x_NCHW.permute(0, 2, 3, 1).numpy())
    assert found.classes == ("5", "6")


def test_names_of_classes_are_taken_from_the_dataset() -> None:
    assert from_dataset(Data([(X[0], 1), (X[1], 1)])).classes == ("cat", "dog")
    assert from_dataset(Data([(X[0], 1), (X[1], 1)])).labels.tolist() == [1, 1]
    assert from_dataset(Data([(X[0], 8), (X[1], 9)])).classes == ("8", "9")
    assert from_dataset(Data([(X[0], "1"), (X[1], "0")])).classes == ("0", "1")  # no indices


@pytest.mark.parametrize(
    ("named", "classes"),
    [
        ({"dog": 1, "cat": 0}, ("cat", "dog")),
        ({1: "dog", 0: "cat"}, ("cat", "dog")),
        (np.array(["cat", "dog"]), ("cat", "dog")),
        ({"cat": 1, "dog": 2}, ("0", "1")),
        (2, ("0", "1")),
        ("cat", ("0", "1")),
        (None, ("0", "1")),
    ],
)
def test_what_a_dataset_calls_classes_may_be_something_else(
    monkeypatch: pytest.MonkeyPatch, named: object, classes: tuple[str, ...]
) -> None:
    monkeypatch.setattr(Data, "classes", named)
    found = from_dataset(Data([(X[0], 1), (X[1], 0)]))
    assert (found.classes, found.labels.tolist()) == (classes, [1, 0])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "its length is 0"),
        ([(X[0], 0), (X[1], None)], "1 of 2 are None or NaN"),
        ([(X[0], np.eye(2)[0]), (X[1], np.eye(2)[1])], r"shape \(2, 2\)\. If .* argmax of each"),
        ([X[0]], r"Item 0 of the Dataset must be a pair .* is ndarray"),
        ([(X[0] - 128.0, 0)], "item 0 is float64 of shape .* from -128.* Leave normalization out"),
        ([(np.zeros((2, 5, 5), np.uint8), 0)], "with 1, 3 or 4 channels, but item 0"),
    ],
)
def test_a_dataset_of_other_things_is_refused(items: Sequence[Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        from_dataset(items)
