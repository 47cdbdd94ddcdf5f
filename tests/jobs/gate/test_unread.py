"""Tests of `tunesmith.jobs.gate.unread`; test_check.py reads files that cannot be decoded."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import encode_png

from tunesmith.core.errors import SourceError
from tunesmith.data.sources import open_source
from tunesmith.jobs.check import check
from tunesmith.jobs.gate.unread import missing, unnamed

KNOWN = "path,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,dog\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of eight images, the last ones of which have no label."""
    chance = np.random.default_rng(0)
    rows = ["path,label"]
    for number, label in enumerate(["cat", "dog", "cat", "dog", "cat", "dog", "", ""]):
        x_HWC = chance.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        (tmp_path / f"{number}.png").write_bytes(encode_png(x_HWC))
        rows.append(f"{number}.png,{label}")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(rows))
    return path


def test_rows_without_a_label_are_told(table: Path, tmp_path: Path) -> None:
    result = check(table, out=tmp_path / "out", progress=False)
    assert "columns: path=path, label=label\n" in (tmp_path / "out" / "check.log").read_text()
    assert "Columns of the table: <bdi>path=path, label=label</bdi>" in result.report.read_text()
    assert '"label": "label"' in result.as_json()
    assert "2 rows without a label are left aside" in result.words()
    page = result.report.read_text()
    assert "2 rows without a label are left aside" in page
    assert "Nothing wrong was found" not in page


def test_what_was_never_meant_to_be_learned_is_not_told(table: Path, tmp_path: Path) -> None:
    table.write_text(f"{KNOWN}4.png,\n,cat\n0.png,cat")
    found = missing(open_source(table))
    assert found is not None
    assert found.title == "1 row without a label, 1 row without a path are left aside"
    table.write_text(f"{KNOWN}0.png,cat")
    assert missing(open_source(table)) is None


def test_a_class_of_links_is_told_with_a_way_out(tmp_path: Path) -> None:
    chance, pets = np.random.default_rng(0), tmp_path / "pets"
    for name in ("cat", "dog", "bird", "empty"):
        (pets / name).mkdir(parents=True)
        for number in range(0 if name == "empty" else 6):
            file = (tmp_path if name == "bird" else pets / name) / f"{number}.png"
            file.write_bytes(encode_png(chance.integers(0, 256, (16, 16, 3)).astype(np.uint8)))
            if name == "bird":
                (pets / name / file.name).symlink_to(file)
    (pets / "elk").symlink_to(tmp_path)
    result = check(pets, out=tmp_path / "out", progress=False)
    (found,) = [each for each in result.checked.findings if each.kind == "missing"]
    assert found.weight == "doubtful"
    held = "bird: 6 links, elk: 1 linked folder, empty: 1 empty folder"
    assert f"3 folders without images ({held})" in found.title
    assert found.title.endswith(" are left aside")
    assert found.meaning.count("Links are not followed: copy the files") == 1
    assert "Nothing wrong was found" not in result.report.read_text()


def write_pets(pets: Path, *, whole: dict[str, int]) -> None:
    """Write thirty images of each class, of which only so many are whole."""
    chance = np.random.default_rng(0)
    for name, count in whole.items():
        (pets / name).mkdir(parents=True)
        for number in range(30):
            file = encode_png(chance.integers(0, 256, (16, 16, 3)).astype(np.uint8))
            (pets / name / f"{number}.png").write_bytes(file[: None if number < count else 100])


def test_a_class_of_which_nothing_can_be_read_is_a_serious_matter(tmp_path: Path) -> None:
    pets = tmp_path / "pets"
    write_pets(pets, whole={"cat": 30, "dog": 30, "elk": 0})
    result = check(pets, out=tmp_path / "out", progress=False)
    found = {each.kind: each for each in result.checked.findings}
    assert found.keys() == {"emptied", "unreadable"}
    assert found["emptied"].title == "No image of “elk” can be read"
    assert found["emptied"].weight == "serious"
    assert found["emptied"].stops
    page = result.report.read_text()
    assert "</code> stops: No image of “elk” can be read; 30 files cannot be read." in page
    assert f"--quarantine {result.quarantine}" in page
    # A list that takes these away as well leaves nothing of the class either.
    with pytest.raises(SourceError, match="fewer of: elk"):
        open_source(pets, quarantine=result.quarantine)


def test_a_class_of_which_one_image_can_be_read_stops_training_too(tmp_path: Path) -> None:
    write_pets(tmp_path / "pets", whole={"cat": 30, "dog": 30, "elk": 1})
    result = check(tmp_path / "pets", out=tmp_path / "out", progress=False)
    (found,) = [each for each in result.checked.findings if each.kind == "emptied"]
    assert (found.title, found.stops) == ("Too few images of “elk” can be read", True)


def test_a_test_part_of_which_nothing_can_be_read_stops_training(tmp_path: Path) -> None:
    write_pets(tmp_path / "pets" / "train", whole={"cat": 30, "dog": 30})
    for number, name in enumerate(("cat", "dog")):
        file = tmp_path / "pets" / "test" / name / f"{number}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"no image")
    result = check(tmp_path / "pets", out=tmp_path / "out", progress=False)
    (found,) = [each for each in result.checked.findings if each.stops]
    assert found.title == "No image of the test part can be read"
    assert "Or train right away" not in result.report.read_text("utf-8")


def test_a_class_whose_name_may_stand_for_a_missing_label_is_told(
    table: Path, tmp_path: Path
) -> None:
    table.write_text(f"{KNOWN}4.png,NA\n5.png,NA\n6.png,none\n7.png,none")
    result = check(table, out=tmp_path / "out", progress=False)
    assert "?  1 class is called “NA”" in result.words()
    x_NHW = np.zeros((8, 4, 4), np.uint8)
    assert unnamed(open_source((x_NHW, ["NA", "null"] * 4))) is None  # said in so many words
