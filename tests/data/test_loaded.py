"""Tests of `tunesmith.data.loaded`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.data.examine import Examined
from tunesmith.data.loaded import CHUNK, Rejected, Room

COUNT = 2 * CHUNK + 44


@pytest.mark.parametrize("bound", [10**9, 0])
def test_what_many_threads_put_has_no_gaps(tmp_path: Path, bound: int) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 6, 1), dtype=np.uint8)
    bad = {0, 7, CHUNK, COUNT - 1}
    kept = [index for index in range(COUNT) if index not in bad]
    room = Room(x_NHWC.shape, memory_bound=bound, folder=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda index: room.put(index, x_NHWC[index], (4, 6 + index, 1)), kept))
    loaded = room.loaded(Rejected(index=index, name="", reason="no") for index in sorted(bad))
    assert np.array_equal(loaded.pixels, x_NHWC[kept])
    assert loaded.kept.tolist() == kept
    assert loaded.shapes.tolist() == [[4, 6 + index] for index in kept]
    assert [each.index for each in loaded.rejected] == sorted(bad)
    assert loaded.resized
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_mixed", [False, True])
def test_examinations_are_those_of_the_images_unless_an_image_has_none(
    tmp_path: Path, is_mixed: bool
) -> None:
    image_HWC = np.zeros((4, 6, 1), np.uint8)
    files = [Examined(format=name, findings=()) for name in ("PNG", "GIF", "BMP", "TIFF", "PNM")]
    room = Room((5, 4, 6, 1), memory_bound=10**9, folder=tmp_path)
    for index in (4, 3, 1):
        is_file = index != 3 or not is_mixed
        room.put(index, image_HWC, image_HWC.shape, files[index] if is_file else None)
    loaded = room.loaded([])
    assert loaded.kept.tolist() == [1, 3, 4]
    assert list(loaded.examined) == ([] if is_mixed else [files[1], files[3], files[4]])


def test_no_room_for_the_pixels_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"need 0\.0 MB on the disk .* No such file .* --out"):
        Room((3, 4, 6, 1), memory_bound=0, folder=tmp_path / "gone")
