"""Tests of `tunesmith.data.cifar`."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data import archives, cifar
from tunesmith.data.cifar import CLASSES, FILE, PARTS, RECORD, TEST, find_cifar, read_cifar


def record(label: int, number: int) -> bytes:
    """An image whose pixel at (row, column) is (number, row, column)."""
    rows, columns = np.mgrid[:32, :32]
    planes = np.stack([np.full((32, 32), number), rows, columns])
    return bytes([label]) + planes.astype(np.uint8).tobytes()


CONTENTS = {
    CLASSES: b"airplane\nautomobile\n\n",
    **{name: record(0, 2 * i) + record(1, 2 * i + 1) for i, name in enumerate(PARTS)},
    TEST: record(1, 10),
    "readme.html": b"",
}


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(folder / FILE, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return folder / FILE


def test_records_are_images_in_their_order(tmp_path: Path) -> None:
    data = read_cifar(write(tmp_path, CONTENTS))
    assert data.classes == ("airplane", "automobile")
    assert data.labels.tolist() == [0, 1] * 5 + [1]
    assert data.is_test.tolist() == [False] * 10 + [True]
    x_NHWC = np.asarray(data.images)
    assert x_NHWC.shape == (11, 32, 32, 3)
    assert x_NHWC[:, 0, 0, 0].tolist() == list(range(11))
    assert x_NHWC[7, 20, 30].tolist() == [7, 20, 30]


def test_the_file_is_found_by_itself_and_in_its_folder(tmp_path: Path) -> None:
    assert find_cifar(tmp_path) is None
    file = write(tmp_path, CONTENTS)
    assert find_cifar(file) == find_cifar(tmp_path) == file
    assert find_cifar(tmp_path / "other.tar.gz") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({TEST: None}, f"must hold {TEST}, but does not"),
        ({TEST: record(1, 0)[:-1]}, "must hold records of 3,073 bytes"),
        ({TEST: record(2, 0)}, "begin with one of 2 classes"),
        ({CLASSES: b""}, "begin with one of 0 classes"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, change: dict[str, bytes | None], message: str
) -> None:
    contents = {
        name: content for name, content in (CONTENTS | change).items() if content is not None
    }
    with pytest.raises(SourceError, match=message):
        read_cifar(write(tmp_path, contents))


@pytest.mark.parametrize("end", [0, 50, -20])
def test_a_file_that_was_cut_off_is_told(tmp_path: Path, end: int) -> None:
    file = write(tmp_path, CONTENTS)
    file.write_bytes(file.read_bytes()[:end])
    with pytest.raises(SourceError, match=r"cannot be unpacked: .*Fetch it again"):
        read_cifar(file)


def test_a_record_is_a_class_and_an_image() -> None:
    assert len(record(0, 0)) == RECORD


def test_a_flipped_byte_is_told_by_the_checksum(tmp_path: Path) -> None:
    file = write(tmp_path, CONTENTS)
    data = bytearray(file.read_bytes())
    data[-8] ^= 1
    file.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be unpacked: CRC check failed"):
        read_cifar(file)


@pytest.mark.parametrize(
    ("size", "reason"), [(-512, "a member claims -512 bytes"), (2**80, "must not be a bomb")]
)
def test_a_size_is_not_believed(tmp_path: Path, size: int, reason: str) -> None:
    info = tarfile.TarInfo(TEST)
    info.size = size
    file = tmp_path / FILE
    file.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(SourceError, match=reason):
        read_cifar(file)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    file = write(tmp_path, {"junk.bin": bytes(10**7)} | CONTENTS)
    with pytest.raises(SourceError, match="unpacks to more than 200 times its size"):
        read_cifar(file)


def test_no_more_is_kept_than_the_published_files_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "MOST", 2 * RECORD)
    file = write(tmp_path, CONTENTS | {TEST: 3 * record(0, 0), "junk.bin": bytes(10**6)})
    with pytest.raises(SourceError, match=f"must hold {TEST}, but does not"):
        read_cifar(file)
