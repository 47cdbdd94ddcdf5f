"""Tests of `tunesmith.data.originals`."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import encode_png

from tunesmith.data import originals as module
from tunesmith.data.originals import originals
from tunesmith.data.sources import open_source


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_originals_are_all_images_once_in_batches_of_one_size(batch: int) -> None:
    x = [np.full((2 + i % 3, 2, 3), i, np.uint8) for i in range(20)]
    source = open_source([(image, i % 2) for i, image in enumerate(x)])
    chosen = np.random.default_rng(0).permutation(20)[:15]
    seen = []
    for indices, pixels in originals(source, chosen, channels=3, threads=2, batch=batch):
        assert 1 <= len(indices) == len(pixels) <= batch
        assert [p[0, 0, 0] for p in pixels] == indices.tolist()
        assert all(p.shape == x[i].shape for i, p in zip(indices, pixels, strict=True))
        seen += indices.tolist()
    assert sorted(seen) == sorted(chosen)


def test_an_original_that_is_gone_is_left_out(tmp_path: Path) -> None:
    for name in ("a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_png(np.zeros((4, 6, 1), np.uint8)))
    source = open_source(tmp_path)
    (tmp_path / source.names[1]).unlink()
    ((indices, _),) = originals(source, np.arange(3), channels=1, threads=1)
    assert indices.tolist() == [0, 2]


def test_originals_are_handed_on_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 4 * 12)
    monkeypatch.setattr(module, "WAITING", 100)
    # Twelve bytes each of one size, and many sizes of which there is but one.
    x = [np.full((2, 2, 3) if i % 2 else (i + 1, 3, 3), i, np.uint8) for i in range(40)]
    source = open_source([(image, i % 2) for i, image in enumerate(x)])
    batches = [i.tolist() for i, _ in originals(source, np.arange(40), channels=3, threads=2)]
    assert sorted(index for batch in batches for index in batch) == list(range(40))
    assert max(map(len, batches)) == 4
