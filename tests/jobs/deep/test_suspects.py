"""Tests of `tunesmith.jobs.deep.suspects`."""

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.deep.suspects import (
    Suspect,
    doubtful,
    find_suspects,
    held_out,
    out_of_fold,
    tell_held_out,
    tell_learned,
    write_suspects,
)
from tunesmith.jobs.gate.alike import Alike, Depth
from tunesmith.jobs.gate.findings import Data
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding

COUNT = 40


def data_of(x_NHWC: NDArray[np.uint8], y_N: NDArray[np.int64]) -> Data:
    source = open_source((x_NHWC, y_N))
    shapes = np.full((len(y_N), 2), x_NHWC.shape[1])
    loaded = Loaded(
        pixels=x_NHWC, kept=np.arange(len(y_N)), rejected=(), shapes=shapes, resized=False
    )
    return Data(source=source, loaded=loaded)


@pytest.fixture
def prepared() -> Any:
    """Forty images of two classes, the second half of them the test part."""
    x_NHWC = np.arange(COUNT, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    data = data_of(x_NHWC, np.arange(COUNT) % 2)
    split = SimpleNamespace(train=np.arange(20), folds=np.arange(20) % 5)
    return SimpleNamespace(
        source=data.source, loaded=data.loaded, labels=data.labels.copy(), split=split
    )


def sure(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities of a network that agrees with labels, and is sure of it."""
    return np.eye(2, dtype=np.float32)[labels] * np.float32(0.96) + np.float32(0.02)


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "suspects.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_labels_that_a_network_is_sure_are_wrong_are_listed(prepared: Any, tmp_path: Path) -> None:
    tested, p_NK = np.arange(20, 40), sure(prepared.labels)
    prepared.labels[[3, 24, 31]] ^= 1
    p_NK[31] = [0.01, 0.99] if p_NK[31, 1] > 0.5 else [0.99, 0.01]
    suspects = find_suspects("test", tested, p_NK[tested], prepared.labels)
    learned = find_suspects("train", np.arange(20), p_NK[:20], prepared.labels)
    assert [each.place for each in suspects] == [31, 24]
    write_suspects(tmp_path, prepared, [*learned, *suspects])
    rows = read(tmp_path)
    assert (rows[0]["file"], rows[0]["part"]) == ("#31", "test")  # the surest first
    assert {row["file"]: row["part"] for row in rows} == {
        "#31": "test",
        "#24": "test",
        "#3": "train",
    }
    assert [(row["label"], row["probably"]) for row in rows if row["file"] == "#3"] == [("0", "1")]


def test_a_model_in_doubt_accuses_no_label(prepared: Any, tmp_path: Path) -> None:
    (tmp_path / "suspects.csv").write_text("of an earlier session")
    p_NK = sure(prepared.labels)
    p_NK[24] = [0.4, 0.6]  # of class 0
    assert find_suspects("test", np.arange(40), p_NK, prepared.labels) == []
    write_suspects(tmp_path, prepared, [])
    assert not (tmp_path / "suspects.csv").exists()


def test_no_cell_is_a_formula(prepared: Any, tmp_path: Path) -> None:
    prepared.source = replace(prepared.source, classes=("=1", "-2"))
    write_suspects(tmp_path, prepared, [Suspect(place=0, part="test", other=1, margin=-0.9)])
    (row,) = read(tmp_path)
    assert (row["label"], row["probably"], row["margin"]) == ("'=1", "'-2", "-0.900")


@pytest.mark.parametrize("folds", [5, 3])  # all, or as many as there was time for
def test_answers_of_each_fold_go_to_its_images(prepared: Any, folds: int) -> None:
    places = np.concatenate([np.arange(fold, 20, 5) for fold in range(folds)])
    z_NK = np.log(sure(prepared.labels))[places]
    z_NK[1] = z_NK[1, ::-1]  # the second one of the first fold
    members = [SimpleNamespace(prepared=prepared)]
    fitted: Any = SimpleNamespace(members=members, z_NK=z_NK, places_N=places)
    asked, p_NK = out_of_fold(fitted, temperature=0.5)
    assert asked.tolist() == places.tolist()
    learned = find_suspects("train", asked, p_NK, prepared.labels)
    assert [each.place for each in learned] == [5]
    said = tell_learned(prepared, len(asked), learned)
    assert isinstance(said, Finding)
    assert said.title == "1 training label looks wrong"
    assert said.meaning.startswith("Of 20 training images, 12 were asked about.") is (folds == 3)
    (item,) = said.items
    assert (item.file, item.label, item.note) == ("#5", "1", "probably 0")
    assert item.image is not None
    none = str(tell_learned(prepared, len(asked), []))
    assert none.endswith("none.")
    assert ("of 12 of 20 that were asked about" in none) is (folds == 3)


def test_labels_of_held_out_images_are_asked_about_and_so_many_are_said(prepared: Any) -> None:
    prepared.split.folds = None
    p_NK = sure(prepared.labels)
    prepared.labels[13] ^= 1
    members, places = [SimpleNamespace(prepared=prepared)], np.arange(10, 20)[::-1]
    fitted: Any = SimpleNamespace(members=members, z_NK=np.log(p_NK[places]), places_N=places)
    held, q_NK = held_out(fitted, temperature=1.0)
    assert held.tolist() == places.tolist()
    found = find_suspects("held-out", held, q_NK, prepared.labels)
    assert [(each.place, each.part) for each in found] == [(13, "held-out")]
    said = tell_held_out(prepared, len(held), found)
    assert isinstance(said, Finding)
    assert said.title == "1 held-out label looks wrong"
    assert "of 10 that were held out" in said.meaning
    assert [(item.file, item.note) for item in said.items] == [("#13", "probably 1")]
    assert str(tell_held_out(prepared, 10, [])).endswith("to calibrate the model: none.")


def test_where_there_are_folds_no_image_is_held_out(prepared: Any) -> None:
    members, z_NK = [SimpleNamespace(prepared=prepared)], np.zeros((20, 2), np.float32)
    fitted: Any = SimpleNamespace(members=members, z_NK=z_NK, places_N=np.arange(20))
    held, q_NK = held_out(fitted, temperature=1.0)
    assert (len(held), len(q_NK)) == (0, 0)
    assert find_suspects("held-out", held, q_NK, prepared.labels) == []
    assert tell_held_out(prepared, 0, []) is None


def test_where_images_are_held_out_no_training_image_is_asked_about(prepared: Any) -> None:
    prepared.split.folds = None
    members, z_NK = [SimpleNamespace(prepared=prepared)], np.zeros((7, 2), np.float32)
    fitted: Any = SimpleNamespace(members=members, z_NK=z_NK, places_N=np.arange(7))
    asked, p_NK = out_of_fold(fitted, temperature=1.0)
    assert (len(asked), len(p_NK)) == (0, 0)
    assert find_suspects("train", asked, p_NK, prepared.labels) == []
    assert tell_learned(prepared, 0, []) is None


def copied(groups_N: NDArray[np.int64]) -> Alike:
    none = np.zeros((0, 2), np.int64)
    return Alike(
        depth=Depth.WHOLE,
        exact_N=np.arange(len(groups_N)),
        seen_N=np.arange(len(groups_N)),
        near_N=groups_N,
        near_P2=none,
        same_N=groups_N,
        groups_N=groups_N,
    )


def doubted(copies: list[int], groups_N: NDArray[np.int64]) -> Finding | str:
    """What is said of the labels of three classes, where copies of an image of class 1 are."""
    chance, y_N = np.random.default_rng(0), np.arange(180) % 3
    f_ND = chance.normal(size=(180, 4)).astype(np.float32)
    f_ND[:, :3] += 40 * np.eye(3, dtype=np.float32)[y_N]
    f_ND[copies] = [0, 44, 0, 0]
    d_NA: NDArray[np.float32] = f_ND / np.linalg.norm(f_ND, axis=1, keepdims=True)
    data = data_of(chance.integers(0, 256, (180, 8, 8, 1)).astype(np.uint8), y_N)
    return doubtful(data, copied(groups_N), f_ND, d_NA, Cache(None))


@pytest.mark.parametrize("right", [[], [1]])  # one more copy, whose label is right
def test_copies_that_are_all_labeled_wrong_do_not_vouch_for_each_other(right: list[int]) -> None:
    wrong = [0, 3, 6, 9, 12]  # of class 1, and labeled 0
    groups_N = np.arange(180)
    groups_N[wrong + right] = 0
    found = doubted(wrong + right, groups_N)
    assert isinstance(found, Finding)
    assert [item.file for item in found.items] == ["#0", "#3", "#6", "#9", "#12"]
    assert {item.note for item in found.items} == {"probably 1"}
    assert found.is_suspect
    assert isinstance(doubted(wrong + right, np.arange(180)), str)  # if nobody knew of them
