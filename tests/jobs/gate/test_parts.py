"""Tests of `tunesmith.jobs.gate.parts`."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.data.split import Split, split
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.parts import uncovered, unheld


def parted(y_N: NDArray[np.int64], groups_N: NDArray[np.int64] | None) -> tuple[Data, Split]:
    """Images of some classes and groups, and their split."""
    every, x_NHWC = np.arange(len(y_N)), np.zeros((len(y_N), 2, 2, 1), np.uint8)
    x_NHWC[:, 0, 0, 0], x_NHWC[:, 0, 1, 0] = every % 256, every // 256
    source = replace(open_source((x_NHWC, y_N)), groups=groups_N)
    shapes = np.full((len(y_N), 2), 2)
    loaded = Loaded(pixels=x_NHWC, kept=every, rejected=(), shapes=shapes, resized=False)
    classes, given = len(source.classes), source.given
    parts = split(y_N, given, every, classes=classes, seed=0, stated=groups_N)
    return Data(source=source, loaded=loaded), parts


def test_classes_that_a_part_cannot_tell_of_are_named() -> None:
    """Of one class there are two patients: one is tested on, and the other is learned from."""
    y_N = np.repeat([0, 1, 2], [2000, 2000, 400])
    groups_N = np.where(y_N == 2, 4000 + np.arange(4400) // 200, np.arange(4400))
    found = uncovered(*parted(y_N, groups_N))
    assert found is not None
    assert found.title == "1 class is missing in a part that is held out"
    assert "validation: “2”; selection: “2”; calibration: “2”." in found.meaning
    assert "test" not in found.meaning
    assert "of these classes of other groups." in found.meaning


def test_groups_too_few_to_hold_any_out_are_told() -> None:
    y_N, films_N = np.arange(6000) % 2, np.arange(6000) // 1500
    found = unheld(parted(y_N, films_N)[1])
    assert found is not None
    assert found.title == "Too few groups to hold out more than a test part"
    assert unheld(parted(y_N, None)[1]) is None
    assert unheld(parted(y_N[:2000], films_N[::3])[1]) is None  # few images: the plan tells


def test_a_class_of_a_few_images_is_due_in_the_test_part_alone() -> None:
    found = uncovered(*parted(np.repeat([0, 1, 2], [2000, 2000, 2]), None))
    assert found is not None
    assert "test: “2”. Copies" in found.meaning
    assert found.meaning.endswith("add images of these classes.")
    assert uncovered(*parted(np.repeat([0, 1, 2], [2000, 2000, 60]), None)) is None
