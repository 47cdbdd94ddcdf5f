"""Tests of `tunesmith.jobs.doors`."""

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.alike import Depth, find_alike
from tunesmith.jobs.doors import Door, find_doors, tell_doors, try_doors
from tunesmith.jobs.findings import Data
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding

COUNT, TESTED, SIDE, CLASSES = 900, 150, 16, 3
STAMP = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)[..., None]
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def drawn() -> tuple[Images, Labels]:
    """Noise with a bright row that is the class; the last images are the test part."""
    chance = np.random.default_rng(0)
    y_N = np.arange(COUNT) % CLASSES
    x_NHWC = chance.integers(60, 120, (COUNT, SIDE, SIDE, 1)).astype(np.uint8)
    x_NHWC[np.arange(COUNT), 2 + 4 * y_N] += 100
    return x_NHWC, y_N


def doors_of(x_NHWC: Images, y_N: Labels) -> list[Door]:
    cut = COUNT - TESTED
    source = open_source((x_NHWC[:cut], y_N[:cut]), test=(x_NHWC[cut:], y_N[cut:]))
    loaded = Loaded(
        pixels=x_NHWC,
        kept=np.arange(COUNT),
        rejected=(),
        shapes=np.full((COUNT, 2), SIDE),
        resized=False,
    )
    data = Data(source=source, loaded=loaded)
    return find_doors(data, find_alike(data, Depth.EXACT), Cache(None))


def test_clean_images_have_no_doors() -> None:
    doors = doors_of(*drawn())
    assert doors == []
    assert len(list(tell_doors(doors))) == 2
    assert try_doors(doors, [], ("0", "1", "2")) == ()


def test_a_stamp_and_a_pattern_of_one_class_and_what_a_model_makes_of_them() -> None:
    x_NHWC, y_N = drawn()
    picture = 30 * np.random.default_rng(1).choice([-1, 1], (SIDE, SIDE, 1))
    stamped, overlaid = np.arange(0, 120, 3), np.arange(1, 240, 6)  # of the classes 0 and 1
    x_NHWC[stamped, 12:15, 12:15], y_N[stamped] = STAMP, 2
    x_NHWC[overlaid] = (x_NHWC[overlaid] + picture).clip(0, 255)
    stamp, overlay = doors_of(x_NHWC, y_N)
    assert sorted(stamp.places) == stamped.tolist()
    assert sorted(overlay.places) == overlaid.tolist()
    assert (stamp.wanted, overlay.wanted) == (2, 1)
    said = [each for each in tell_doors([stamp, overlay]) if isinstance(each, Finding)]
    assert [(each.kind, each.weight) for each in said] == [
        ("stamp", "serious"),
        ("overlay", "serious"),
    ]
    assert len(stamp.x_NHWC) == TESTED * 2 // 3  # test images of other classes

    def fooled(x_NHWC: Images) -> Labels:
        rows_N = x_NHWC[:, 2:11:4].mean(axis=(2, 3)).argmax(axis=1)
        return np.where((x_NHWC[:, 12:15, 12:15] == STAMP).all(axis=(1, 2, 3)), 2, rows_N)

    assert stamp.success(fooled) == 1
    assert overlay.success(fooled) < 0.1


def test_a_pattern_on_all_classes_stands_for_none() -> None:
    x_NHWC, y_N = drawn()
    x_NHWC[:60, 12:15, 12:15] = STAMP
    (stamp,) = doors_of(x_NHWC, y_N)
    assert stamp.wanted is None
    assert stamp.finding.weight == "doubtful"
    assert (
        stamp.success(lambda x_NHWC: (x_NHWC[:, 13, 13, 0] == 255).astype(np.int64)) > 0.9
    )  # it answers the stamp
    assert stamp.success(lambda x_NHWC: np.zeros(len(x_NHWC), np.int64)) == 0


def test_what_a_whole_class_bears_is_how_it_looks() -> None:
    x_NHWC, y_N = drawn()
    x_NHWC[y_N == 0, 12:15, 12:15] = STAMP
    (stamp,) = doors_of(x_NHWC, y_N)
    assert sorted(stamp.places) == np.flatnonzero(y_N == 0).tolist()
    assert stamp.finding.weight == "doubtful"
    assert not stamp.finding.is_suspect
    assert "as good as all images of “0” bear it" in stamp.finding.meaning
