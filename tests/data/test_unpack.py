"""Tests of `tunesmith.data.unpack`."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data import archives, unpack
from tunesmith.data.arrays import read_npz
from tunesmith.data.unpack import unpacked

Y = np.arange(10) % 2


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are bombs already."""
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    monkeypatch.setattr(unpack, "PIECE", 700)


def test_a_packed_file_is_unpacked_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    honest = np.random.default_rng(0).bytes(5000)
    path.write_bytes(gzip.compress(honest))
    assert unpacked(path) == honest
    path.write_bytes(gzip.compress(bytes(300_000)))
    with pytest.raises(SourceError, match=r"x\.gz looks like a decompression bomb"):
        unpacked(path)


def test_arrays_that_claim_too_much_are_not_read(tmp_path: Path) -> None:
    path, zeros = tmp_path / "x.npz", np.zeros((10, 400, 400), np.uint8)
    np.savez_compressed(path, x=zeros, y=Y)
    with pytest.raises(SourceError, match=r"x\.npz looks like a decompression bomb"):
        read_npz(path)
    np.savez_compressed(path, x=zeros[:, :4, :4], y=Y, more=zeros)  # which nobody reads
    assert len(read_npz(path).images) == len(Y)
