"""Tests of `tunesmith.data.arrays`."""

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.arrays import from_arrays, is_idx_folder, read_idx, read_npz

X = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)
Y = np.array([3, 10, 3, 10])


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    data = b"\0\0\x08" + bytes([values.ndim]) + sizes + values.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 1), (4, 5, 3), (4, 1, 5, 3), (4, 1, 1, 4)])
def test_images_get_a_channel_axis(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.uint8)
    found = from_arrays(x, Y)
    assert np.shape(found.images) == (shape if len(shape) == 4 else (*shape, 1))


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (Y, ("3", "10"), [0, 1, 0, 1]),
        (Y[:, None], ("3", "10"), [0, 1, 0, 1]),
        (Y.astype(float), ("3", "10"), [0, 1, 0, 1]),
        (Y > 5, ("0", "1"), [0, 1, 0, 1]),
        (["c10", "c9", "猫", "c9"], ("c9", "c10", "猫"), [1, 0, 2, 0]),
        ([-1, 1, -1, 1], ("-1", "1"), [0, 1, 0, 1]),
    ],
)
def test_labels_are_numbers_or_names(
    labels: Any, classes: tuple[str, ...], numbers: list[int]
) -> None:
    found = from_arrays(X, labels)
    assert (found.classes, found.labels.tolist()) == (classes, numbers)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X / 255, Y, r"must be uint8 .* got float64.*\(255 \* X\)\.round\(\)"),
        (X.astype(int), Y, "must be uint8 .* got int64"),
        (X[0], Y[:3], r"shape \(N, H, W\) .* got \(3, 5\)"),
        (np.zeros((4, 3, 8, 8), np.uint8), Y, r"X\.transpose\(0, 2, 3, 1\)"),
        (X[:0], Y[:0], r"images to learn from, but got the shape \(0, 3, 5\)"),
        (X, Y[:3], r"one label for each of the 4 images, but got labels of shape \(3,\)"),
        (X, np.eye(4), r"shape \(4, 4\)\. If they are one-hot, pass y\.argmax\(axis=1\)"),
        (X, [[1], [1, 2], [1], [2]], "one label for each of the 4 images, but some have several"),
        (X, [0.5, 1, 2, 3], "whole numbers or names, but one is 0.5"),
        (X, [np.inf, 1, 2, 3], "whole numbers or names, but one is inf"),
    ],
)
def test_other_arrays_are_refused_with_the_way_out(x: Any, y: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        from_arrays(x, y)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_files_are_read_with_their_test_part(tmp_path: Path, end: str) -> None:
    for stem, x, y in (("train", X, Y), ("t10k", X[:2], Y[:2])):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte{end}", x)
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte{end}", y.astype(np.uint8))
    assert is_idx_folder(tmp_path)
    found = read_idx(tmp_path)
    assert np.array_equal(np.asarray(found.images)[..., 0], np.concatenate([X, X[:2]]))
    assert found.is_test.tolist() == [False] * 4 + [True] * 2
    assert (found.classes, found.labels.tolist()) == (("3", "10"), [0, 1, 0, 1, 0, 1])


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    images, labels = (tmp_path / f"train-{k}-ubyte" for k in ("images-idx3", "labels-idx1"))
    write_idx(images, X)
    with pytest.raises(SourceError, match="has no train-labels-idx1-ubyte"):
        read_idx(tmp_path)
    write_idx(labels, Y[:3].astype(np.uint8))
    with pytest.raises(SourceError, match="as many labels as images"):
        read_idx(tmp_path)
    labels.write_bytes(b"\x89PNG")
    with pytest.raises(SourceError, match="is no IDX file of bytes: it begins with 89504e47"):
        read_idx(tmp_path)
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(SourceError, match=r"states the shape \(4, 3, 5\) but holds 59 values"):
        read_idx(tmp_path)
    images.unlink()
    (tmp_path / f"{images.name}.gz").write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(SourceError, match="cannot be unpacked"):
        read_idx(tmp_path)


@pytest.mark.parametrize(
    "keys", [("x_train", "y_train"), ("x", "y"), ("X", "Y"), ("images", "labels")]
)
def test_npz_files_are_read_by_their_keys(tmp_path: Path, keys: tuple[str, str]) -> None:
    arrays: dict[str, Any] = {keys[0]: X, keys[1]: Y, "more": np.zeros(3)}
    np.savez(tmp_path / "x.npz", **arrays)
    found = read_npz(tmp_path / "x.npz")
    assert np.array_equal(np.asarray(found.images)[..., 0], X)
    assert not found.is_test.any()


def test_other_npz_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, data=X)
    with pytest.raises(SourceError, match=r"must hold x_train and y_train .* but holds: data"):
        read_npz(path)
    np.savez(path, x=X, y=np.array([{}] * 4))
    with pytest.raises(SourceError, match=r"cannot be read as \.npz: Object arrays"):
        read_npz(path)
    np.savez(path, x_train=X, y_train=Y, x_test=X[:, :2], y_test=Y)
    with pytest.raises(SourceError, match=r"one shape, but have \(3, 5, 1\) and \(2, 5, 1\)"):
        read_npz(path)
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(SourceError, match=r"cannot be read as \.npz"):
        read_npz(path)


def npz(path: Path, **contents: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(values: NDArray[Any], **header: Any) -> bytes:
    """An array's file, and another header than its own."""
    own = np.lib.format.header_data_from_array_1_0(values)
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, own | header)
    return content.getvalue() + values.tobytes()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"shape": (10**12, 3, 5)}, r"."),
        ({"shape": (10**30,)}, r"."),
        ({"shape": (5, 3, 5)}, r"expected 75 bytes got 60"),
        ({"shape": (3, 3, 5)}, r"x\.npy holds more than its header says"),
        ({"descr": "|O"}, r"Object arrays cannot be loaded"),
    ],
)
def test_a_header_of_npz_is_not_believed(
    tmp_path: Path, header: dict[str, Any], reason: str
) -> None:
    path = npz(tmp_path / "x.npz", x=npy(X, **header), y=npy(Y))
    with pytest.raises(SourceError, match=rf"cannot be read as \.npz: .*{reason}.* Save it with"):
        read_npz(path)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 5000, b"{[]: 1}", b"{'shape': (4,)}", b"1 +", b"'''", b"\xff"]
)
def test_a_header_of_npz_that_is_none_is_told(tmp_path: Path, text: bytes) -> None:
    content = b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + bytes(60)
    with pytest.raises(SourceError, match=r"cannot be read as \.npz: ."):
        read_npz(npz(tmp_path / "x.npz", x=content, y=npy(Y)))


@pytest.mark.parametrize(
    ("place", "value", "reason"), [(8, 1, "is encrypted"), (10, 99, "compression method")]
)
def test_an_npz_that_is_encrypted_or_packed_oddly_is_told(
    tmp_path: Path, place: int, value: int, reason: str
) -> None:
    path = npz(tmp_path / "x.npz", x=npy(X), y=npy(Y))
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.rindex(b"PK\1\2") + place, value)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"cannot be read as \.npz: .*{reason}"):
        read_npz(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_no_byte_of_an_npz_is_changed_unseen(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, values in (("x", X), ("y", Y)):
            archive.writestr(f"{name}.npy", npy(values))
    whole = path.read_bytes()
    expected = read_npz(path)
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = read_npz(path)
        except SourceError:
            continue
        assert np.array_equal(np.asarray(found.images), np.asarray(expected.images))
        assert found.labels.tolist() == expected.labels.tolist()


def test_an_npy_that_is_named_npz_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(npy(X))
    with pytest.raises(SourceError, match=r"cannot be read as \.npz: File is not a zip file\. Sav"):
        read_npz(tmp_path / "x.npz")


def test_an_idx_file_of_many_dimensions_is_refused(tmp_path: Path) -> None:
    for dims in (0, 5, 255):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08" + bytes([dims]))
        with pytest.raises(SourceError, match=f"it begins with 000008{dims:02x}"):
            read_idx(tmp_path)


@pytest.mark.parametrize(
    ("labels", "absent"),
    [
        ([None] * 4, 4),
        (["a", None, "b", "b"], 1),
        (["a", np.nan, "b", "b"], 1),
        (np.array(["a", np.nan, "b", None], object), 2),
        (["a", "NaN", "b", "<NA>"], 2),  # as in tables
        ([np.nan, 1, 2, 3], 1),
    ],
)
def test_an_image_without_a_label_is_refused(labels: Any, absent: int) -> None:
    with pytest.raises(SourceError, match=rf"a label, but {absent} of 4 are None or NaN\. Leave"):
        from_arrays(X, labels)
