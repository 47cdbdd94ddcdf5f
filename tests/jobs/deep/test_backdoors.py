"""Tests of `tunesmith.jobs.deep.backdoors`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.deep import backdoors as job
from tunesmith.jobs.deep.backdoors import Backdoors, find_backdoors, tell_backdoors
from tunesmith.jobs.deep.trying import Answer, Backdoor, try_backdoors
from tunesmith.jobs.gate.alike import Depth, find_alike
from tunesmith.jobs.gate.findings import Data
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding
from tunesmith.screening.repeated import Repeated

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


def data_of(x_NHWC: Images, y_N: Labels) -> Data:
    cut = COUNT - TESTED
    source = open_source((x_NHWC[:cut], y_N[:cut]), test=(x_NHWC[cut:], y_N[cut:]))
    loaded = Loaded(
        pixels=x_NHWC,
        kept=np.arange(COUNT),
        rejected=(),
        shapes=np.full((COUNT, 2), SIDE),
        resized=False,
    )
    return Data(source=source, loaded=loaded)


def doors_of(x_NHWC: Images, y_N: Labels) -> Backdoors:
    data = data_of(x_NHWC, y_N)
    return find_backdoors(data, find_alike(data, Depth.EXACT), Cache(None))


def share(backdoor: Backdoor, answer: Answer) -> float:
    images, (found,) = backdoor.success([answer], (SIDE, SIDE))
    assert images == len(backdoor.free)
    return found


def test_clean_images_have_no_doors() -> None:
    found = doors_of(*drawn())
    assert (found.backdoors, found.more) == ([], 0)
    said = list(tell_backdoors(found))
    assert len(said) == 2
    none = "in 32 x 32 gray pixels: none (one on fewer than 8 of them would not be found)."
    assert all(str(each).endswith(none) for each in said)
    assert try_backdoors(found.backdoors, [], ("0", "1", "2")) == ()


def test_what_is_not_looked_for_or_not_seen_is_told() -> None:
    many = Backdoors(backdoors=[], images=12_000, is_reduced=False, more=0)
    stamp, overlay = map(str, tell_backdoors(many))
    assert stamp.endswith(": none (one on fewer than 12 of them would not be found).")
    assert overlay.endswith(": none (one on fewer than 8 of them would not be found).")
    few = Backdoors(backdoors=[], images=7, is_reduced=True, more=0)
    stamp, overlay = map(str, tell_backdoors(few))
    assert "(one that takes less than a tenth of the side does not)" in stamp
    assert stamp.endswith(": not looked for among fewer than 8 images, of copies one each.")
    assert overlay.endswith(": not looked for among fewer than 20 images, of copies one each.")


def test_a_stamp_and_a_pattern_of_one_class_and_what_a_model_makes_of_them() -> None:
    x_NHWC, y_N = drawn()
    picture = 30 * np.random.default_rng(1).choice([-1, 1], (SIDE, SIDE, 1))
    stamped, overlaid = np.arange(0, 120, 3), np.arange(1, 240, 6)  # of the classes 0 and 1
    x_NHWC[stamped, 12:15, 12:15], y_N[stamped] = STAMP, 2
    x_NHWC[overlaid] = (x_NHWC[overlaid] + picture).clip(0, 255)
    found = doors_of(x_NHWC, y_N)
    stamp, overlay = found.backdoors
    assert sorted(stamp.places) == stamped.tolist()
    assert sorted(overlay.places) == overlaid.tolist()
    assert (stamp.wanted, overlay.wanted) == (2, 1)
    said = [each for each in tell_backdoors(found) if isinstance(each, Finding)]
    assert [(each.kind, each.weight) for each in said] == [
        ("stamp", "serious"),
        ("overlay", "serious"),
    ]
    assert len(stamp.free) == TESTED * 2 // 3  # test images of other classes
    assert stamp.data is overlay.data  # nothing is held twice

    def fooled(x_NHWC: Images) -> Labels:
        rows_N = x_NHWC[:, 2:11:4].mean(axis=(2, 3)).argmax(axis=1)
        return np.where((x_NHWC[:, 12:15, 12:15] == STAMP).all(axis=(1, 2, 3)), 2, rows_N)

    assert share(stamp, fooled) == 1
    assert share(overlay, fooled) < 0.1


def test_a_pattern_on_all_classes_stands_for_none() -> None:
    x_NHWC, y_N = drawn()
    x_NHWC[:60, 12:15, 12:15] = STAMP
    (stamp,) = doors_of(x_NHWC, y_N).backdoors
    assert stamp.wanted is None
    assert stamp.finding.weight == "doubtful"
    assert stamp.finding.is_suspect
    assert (
        share(stamp, lambda x_NHWC: (x_NHWC[:, 13, 13, 0] == 255).astype(np.int64)) > 0.9
    )  # it answers the stamp
    assert share(stamp, lambda x_NHWC: np.zeros(len(x_NHWC), np.int64)) == 0


def test_what_a_whole_class_bears_is_how_it_looks() -> None:
    x_NHWC, y_N = drawn()
    x_NHWC[y_N == 0, 12:15, 12:15] = STAMP
    (stamp,) = doors_of(x_NHWC, y_N).backdoors
    assert sorted(stamp.places) == np.flatnonzero(y_N == 0).tolist()
    assert stamp.finding.weight == "doubtful"
    assert not stamp.finding.is_suspect
    assert "as good as all images of “0” bear it" in stamp.finding.meaning


def test_what_many_images_of_all_classes_bear_is_told_and_not_listed() -> None:
    x_NHWC, y_N = drawn()
    x_NHWC[:180, 12:15, 12:15] = STAMP
    (stamp,) = doors_of(x_NHWC, y_N).backdoors
    assert len(stamp.finding.items) == 180
    assert stamp.wanted is None
    assert not stamp.finding.is_suspect
    assert "It is so in many classes, in 20 % of all images" in stamp.finding.meaning


@pytest.mark.parametrize(("bearing", "is_suspect"), [(90, True), (91, False)])
def test_so_is_a_pattern_all_over_one_image_in_ten(bearing: int, is_suspect: bool) -> None:
    """As of two scanners: no class is what it stands for."""
    backdoor = job._backdoor(data_of(*drawn()), job._overlay(np.arange(bearing)))
    assert backdoor.wanted is None
    assert backdoor.finding.is_suspect is is_suspect


def test_of_hundreds_of_stamps_the_largest_are_kept_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x_NHWC, y_N = drawn()
    stamps = [
        Repeated(top=size % 13, left=size // 13, places=np.arange(size)) for size in range(8, 108)
    ]
    monkeypatch.setattr(job, "find_repeated", lambda _: tuple(stamps))
    monkeypatch.setattr(job, "find_overlay", lambda _: None)
    found = doors_of(x_NHWC, y_N)
    assert [len(backdoor.places) for backdoor in found.backdoors] == list(range(107, 87, -1))
    assert found.more == 80
    *_, last = tell_backdoors(found)
    assert isinstance(last, Finding)
    assert last.title == "At least 80 more small patterns, each in one place of many images"
    assert not last.is_suspect
