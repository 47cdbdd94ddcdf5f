"""Tests of `tunesmith.records.atomic_folder`."""

from pathlib import Path

import pytest

from tunesmith.core.errors import RunFolderError
from tunesmith.records.atomic_folder import new_folder, put_in_place


def test_what_is_there_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    (place / "old").write_text("good")
    aside = new_folder(place)
    (aside / "new").write_text("better")
    assert (place / "old").read_text() == "good"
    put_in_place(aside, place)
    assert [file.name for file in place.iterdir()] == ["new"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["bundle"]


def test_leftovers_of_an_attempt_that_was_killed_go(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    (new_folder(place) / "half").write_text("")
    (tmp_path / "bundle.before").mkdir()
    aside = new_folder(place)
    assert not list(aside.iterdir())
    put_in_place(aside, place)
    assert [folder.name for folder in tmp_path.iterdir()] == ["bundle"]


def test_it_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, synced = tmp_path / "bundle", list[tuple[str, bool]]()
    for name in ("sync", "sync_tree"):
        monkeypatch.setattr(
            f"tunesmith.records.atomic_folder.{name}",
            lambda path: synced.append((path.name, place.exists())),
        )
    put_in_place(new_folder(place), place)
    assert synced == [("bundle.part", False), (tmp_path.name, True)]


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("mine")
    with pytest.raises(RunFolderError, match="bundle is a file, and a folder is needed"):
        new_folder(tmp_path / "bundle")
    assert (tmp_path / "bundle").read_text() == "mine"
