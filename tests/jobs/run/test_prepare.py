"""Tests of `jobs.run.prepare`: what the data gate finds is what the split does without."""

import csv
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.run.prepare import Prepared, prepare
from tunesmith.jobs.run.session import Session

TRAIN, TEST = 90, 30
Prepares = Callable[..., Prepared]


def textures() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rough = np.random.default_rng(0).normal(size=(TRAIN + TEST, 24, 24)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in rough])
    x_NHWC = (128 + 200 * smooth).clip(0, 255).astype(np.uint8)[..., None]
    return x_NHWC, np.arange(TRAIN + TEST) % 3


def data(x_NHWC: NDArray[np.uint8], y_N: NDArray[np.int64]) -> Source:
    return open_source((x_NHWC[:TRAIN], y_N[:TRAIN]), test=(x_NHWC[TRAIN:], y_N[TRAIN:]))


@pytest.fixture
def prepared(session_in: Callable[..., AbstractContextManager[Session]]) -> Prepares:
    def made(folder: Path, source: Source, depth: Depth, **settings: object) -> Prepared:
        looked = sample(source, count=50, seed=0, threads=1)
        with session_in(folder, **settings) as current:
            return prepare(
                current,
                source,
                fingerprint(source, looked),
                measure(folder),
                size=(24, 24),
                depth=depth,
            )

    return made


def listed(folder: Path) -> dict[str, str]:
    with (folder / "quarantine.csv").open(encoding="utf-8") as file:
        return {row["file"]: row["kind"] for row in csv.DictReader(file)}


def test_near_copies_of_test_images_are_not_trained_on(prepared: Prepares, tmp_path: Path) -> None:
    x_NHWC, y_N = textures()
    x_NHWC[4], y_N[4] = x_NHWC[TRAIN + 2] // 2 + 20, y_N[TRAIN + 2]
    found = prepared(tmp_path, data(x_NHWC, y_N), Depth.TEST)
    assert found.split.leaks.tolist() == [4]
    assert 4 not in found.split.train
    assert sorted(found.split.test) == list(range(TRAIN, TRAIN + TEST))
    assert listed(tmp_path) == {"#4": "leak"}


def test_without_time_only_equal_ones_are_found(prepared: Prepares, tmp_path: Path) -> None:
    x_NHWC, y_N = textures()
    x_NHWC[4], x_NHWC[5] = x_NHWC[TRAIN + 2] // 2 + 20, x_NHWC[TRAIN + 7]
    found = prepared(tmp_path, data(x_NHWC, y_N), Depth.EXACT)
    assert found.split.leaks.tolist() == [5]
    assert found.gated.classes == ()


def test_near_copies_share_a_fold(prepared: Prepares, tmp_path: Path) -> None:
    x_NHWC, y_N = textures()
    for place in range(0, 40, 2):
        x_NHWC[place + 1], y_N[place + 1] = x_NHWC[place] // 2 + 20, y_N[place]
    found = prepared(tmp_path, data(x_NHWC, y_N), Depth.WHOLE)
    assert found.split.folds is not None
    fold_of = dict(zip(found.split.train.tolist(), found.split.folds.tolist(), strict=True))
    assert all(fold_of[place] == fold_of[place + 1] for place in range(0, 40, 2))


@pytest.mark.parametrize("count", [90, 3600])
def test_trials_are_validated_on_what_they_are_not_trained_on(
    prepared: Prepares, tmp_path: Path, count: int
) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), np.uint8)
    y_N = np.arange(count) % 3
    found = prepared(tmp_path, open_source((x_NHWC, y_N)), Depth.EXACT)
    parts, (trained, held) = found.split, found.for_search()
    learned = trained.rows.numpy()
    assert len(learned) + len(held) == len(parts.train) + len(parts.validation)
    assert not np.isin(held, learned).any()
    assert not np.isin(held, np.concatenate([parts.selection, parts.test])).any()
    assert len(held) == pytest.approx(0.2 * 0.8 * count, abs=3)


def test_a_copy_of_a_test_image_takes_none_of_its_patient_s_other_images_away(
    prepared: Prepares, tmp_path: Path
) -> None:
    x_NHWC, y_N = textures()
    people = np.arange(TRAIN + TEST) // 3
    black = np.arange(TRAIN) % 3 == people[:TRAIN] % 3  # one image of each, of all classes
    x_NHWC[np.append(np.flatnonzero(black), TRAIN)] = 0
    source = replace(data(x_NHWC, y_N), groups=people)
    found = prepared(tmp_path, source, Depth.EXACT)
    assert found.split.leaks.tolist() == np.flatnonzero(black).tolist()
    assert found.split.train.tolist() == np.flatnonzero(~black).tolist()
    assert set(listed(tmp_path)) == {f"#{place}" for place in np.flatnonzero(black)}
    assert found.split.folds is not None
    assert np.bincount(found.split.folds).tolist() == [12] * 5
    assert not np.ptp(found.split.folds.reshape(-1, 2), axis=1).any()  # a patient has one fold


@pytest.mark.parametrize("on_suspects", ["keep", "quarantine"])
def test_contradicted_labels_are_the_user_s_decision(
    prepared: Prepares, tmp_path: Path, on_suspects: str
) -> None:
    x_NHWC, y_N = textures()
    x_NHWC[7], x_NHWC[TRAIN + 4] = x_NHWC[2], x_NHWC[11]  # of classes 1 and 2, 1 and 2
    source = data(x_NHWC, y_N)
    found = prepared(tmp_path, source, Depth.WHOLE, on_suspects=on_suspects)
    strict = on_suspects == "quarantine"
    assert ({2, 7} <= set(found.split.train.tolist())) is not strict
    assert 11 not in found.split.train  # a copy of a test image, whatever its label
    assert TRAIN + 4 in found.split.test
    expected = {"#11": "leak"}
    if strict:
        expected |= {"#2": "conflict", "#7": "conflict"}
    assert listed(tmp_path) == expected


def test_what_cannot_be_read_is_listed_before_the_run_stops(
    prepared: Prepares, tmp_path: Path
) -> None:
    for label in ("ant", "bee"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(10):
            path = tmp_path / "data" / label / f"{number}.png"
            image = np.full((24, 24), 10 * number, np.uint8)
            path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    for number in range(3):
        (tmp_path / "data" / "bee" / f"{number}.png").write_text("no image")
    (tmp_path / "run").mkdir()
    with pytest.raises(SourceError, match=r"3 of 20 images \(15.0 %\) cannot be decoded"):
        prepared(tmp_path / "run", open_source(tmp_path / "data"), Depth.WHOLE)
    assert set(listed(tmp_path / "run").values()) == {"unreadable"}
    assert len(listed(tmp_path / "run")) == 3


def test_a_metric_that_says_nothing_about_the_test_part_is_refused(
    prepared: Prepares, tmp_path: Path
) -> None:
    x_NHWC, y_N = textures()
    y_N[TRAIN:] = 1
    with pytest.raises(SourceError, match=r"roc_auc needs test images of two .* all 30 are of '1'"):
        prepared(tmp_path, data(x_NHWC, y_N), Depth.EXACT, metric="roc_auc")
