"""Tests of `tunesmith.data.sources`."""

import contextlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.conftest import encode_png

from tunesmith.core.errors import SourceError
from tunesmith.data.decode import read_images
from tunesmith.data.decoder import Decoder
from tunesmith.data.loaded import Rejected
from tunesmith.data.source import Given, Source
from tunesmith.data.sources import open_source

IMAGE = encode_png(np.zeros((4, 4, 1), np.uint8))
NAMES = [f"{label}/{i}.png" for label in ("cat", "dog") for i in (1, 2, 10)]


def write(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(IMAGE)
    root.mkdir(exist_ok=True)
    return root


def pack(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, IMAGE)
    return path


def content(source: Source) -> list[tuple[str, str, int]]:
    """What was found, whatever the order: path, class and part of each image."""
    labels = [source.classes[label] for label in source.labels]
    return sorted(zip(source.names, labels, source.given.tolist(), strict=True))


def pack_tar(path: Path, names: list[str]) -> Path:
    path = path.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(IMAGE)
            archive.addfile(info, io.BytesIO(IMAGE))
    return path


@pytest.mark.parametrize("make", [write, pack, pack_tar])
@pytest.mark.parametrize("top", ["", "photos/"])
def test_folders_and_archives_say_the_same(
    tmp_path: Path, make: Callable[[Path, list[str]], Path], top: str
) -> None:
    if top and make is write:
        return  # a folder is named itself; an archive may have one more around
    found = open_source(make(tmp_path / "pets.zip", [top + name for name in NAMES]))
    assert content(found) == sorted((name, name[:3], Given.NONE) for name in NAMES)
    assert found.name == ("pets.zip" if make is write else "pets")
    assert found.read(0) == IMAGE
    assert not found.skipped


@pytest.mark.parametrize("make", [write, pack])
@pytest.mark.parametrize(
    ("folder", "part"),
    [("train", 1), ("val", 2), ("valid", 2), ("Validation", 2), ("test", 3), ("Test", 3)],
)
def test_parts_are_read_off_folder_names(
    tmp_path: Path, make: Callable[[Path, list[str]], Path], folder: str, part: int
) -> None:
    names = [f"training/{name}" for name in NAMES] + [f"{folder}/cat/x.png"]
    found = open_source(make(tmp_path / "pets.zip", names))
    assert found.classes == ("cat", "dog")
    assert (f"{folder}/cat/x.png", "cat", part) in content(found)


def test_equal_data_have_equal_identity_and_other_data_another(tmp_path: Path) -> None:
    one = open_source(pack(tmp_path / "1.zip", NAMES)).identity
    assert open_source(pack(tmp_path / "2.zip", NAMES[::-1])).identity == one
    assert open_source(pack(tmp_path / "3.zip", [*NAMES, "cat/3.png"])).identity != one
    folder = write(tmp_path / "pets", NAMES)
    before = open_source(folder).identity
    assert open_source(folder).identity == before
    (folder / NAMES[0]).write_bytes(IMAGE + b"changed")
    assert open_source(folder).identity != before
    x, y = np.zeros((4, 3, 3), np.uint8), np.array([0, 0, 1, 1])
    assert open_source((x, y)).identity == open_source((x.copy(), y.tolist())).identity
    assert open_source((x + 1, y)).identity != open_source((x, y)).identity
    assert open_source((x, 1 - y)).identity != open_source((x, y)).identity


def test_names_that_are_no_utf8_are_shown_escaped_and_read(tmp_path: Path) -> None:
    root = os.fsencode(write(tmp_path / "pets", NAMES))
    with open(root + b"/cat/\xff\xfe.png", "wb") as file:  # noqa: PTH123 (a name of any bytes)
        file.write(IMAGE)
    found = open_source(tmp_path / "pets")
    assert "cat/\\xff\\xfe.png" in found.names
    assert all(found.read(index) == IMAGE for index in range(len(found.names)))


def test_a_file_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    found = open_source(write(tmp_path / "pets", NAMES))
    shutil.rmtree(tmp_path / "pets")
    with pytest.raises(FileNotFoundError):
        found.read(0)


def test_files_of_arrays_state_their_test_part(tmp_path: Path) -> None:
    x, y = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3), np.array([7, 7, 9, 9])
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    found = open_source(tmp_path / "x.npz")
    assert found.given.tolist() == [Given.TRAIN] * 4 + [Given.TEST]
    assert (found.classes, found.names[2]) == (("7", "9"), "#2")
    assert np.array_equal(found.read(2), x[2, :, :, None])


def test_digits_are_known_by_name_and_a_source_is_its_own() -> None:
    found = open_source("digits")
    assert (found.name, len(found.names), len(found.classes)) == ("digits", 1797, 10)
    assert open_source(found) is found


def test_names_are_looked_up_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_DATA", str(tmp_path))
    pack(tmp_path / "mnist.zip", [f"{part}/{name}" for part in ("train", "test") for name in NAMES])
    found = open_source("mnist")
    assert (found.name, found.classes, len(found.names)) == ("mnist", ("cat", "dog"), 12)
    write(tmp_path / "mnist", NAMES)
    assert len(open_source("mnist").names) == 6
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="fashion-mnist is at none of"):
        open_source("fashion-mnist")


class Pairs:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[object, int]:
        if not 0 <= index < 4:
            raise IndexError
        return np.full((3, 4 + index, 3), index, np.uint8), index % 2


def test_a_dataset_may_hold_images_of_many_sizes() -> None:
    found = open_source(Pairs())
    assert [np.shape(found.read(i)) for i in range(4)] == [(3, 4 + i, 3) for i in range(4)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"must hold images, .* holds none \(skipped: nothing\)"),
        (
            ["cat/notes.txt", "cat/.hidden.png"],
            "skipped: 1 hidden file, 1 file of another kind|1 file of another kind",
        ),
        (
            ["cat/1.png", "cat/2.png"],
            "needs at least two, but pets has only cat. Add images of another",
        ),
        (
            ["cat/1.png", "cat/2.png", "dog/.x"],
            r"only cat \(left aside: 1 hidden file, 1 folder .*dog",
        ),
        (["all/cat/1.png", "all/dog/2.png"], r"folders inside it \(cat, dog\), pass that folder"),
        ([*NAMES, "elk/1.png"], "at least two images to learn from .* fewer: elk"),
        ([*NAMES, "a.png", "b.png"], r"2 images lie in none: a\.png, b\.png\. Move each"),
        (["train/" + n for n in NAMES] + ["train/x.png"], r"1 images lie in none: train/x\.png"),
        (["train/" + n for n in NAMES] + ["test/elk/1.png"], "the test part alone has: elk"),
        (
            ["train/" + n for n in NAMES] + ["val/elk/1.png", "val/elk/2.png"],
            "at least two images to learn from .* fewer: elk",
        ),
        (["train/a/1.png", "test/a/1.png", "raw/b/1.png"], r"parts \(test, train\) there is raw"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(write(tmp_path / "pets", names))


@pytest.mark.parametrize("make", [write, pack, pack_tar])
def test_a_class_that_cannot_be_read_is_refused(
    tmp_path: Path, make: Callable[[Path, list[str]], Path]
) -> None:
    with pytest.raises(SourceError, match=r"2 files in elk can.*endings: \.heic\)\. Images end"):
        open_source(make(tmp_path / "1.zip", [*NAMES, "elk/1.heic", "elk/2.heic"]))
    names = [*(f"train/{name}" for name in NAMES), "test/cat/x.png", "test/dog/1"]
    parts = make(tmp_path / "2.zip", names)
    with pytest.raises(SourceError, match=r"1 file in test/dog can.*endings: nothing\)\. "):
        open_source(parts)
    found = open_source(make(tmp_path / "3.zip", [*NAMES, "cat/1.heic", "cat/2", "x.svg"]))
    kinds = {"image of a format that is not read": 2, "file of another kind": 1}
    assert (len(found.names), found.skipped) == (6, kinds)


def test_a_folder_that_is_no_class_is_told(tmp_path: Path) -> None:
    write(tmp_path / "pets", NAMES)
    (tmp_path / "pets" / "docs").mkdir()
    (tmp_path / "pets" / "docs" / "read.me").write_text("P5 is a format, and so is BMP.")
    found = open_source(tmp_path / "pets")
    assert found.classes == ("cat", "dog")
    told = "folder without images (docs: 1 file of another kind)"
    assert found.skipped == {"file of another kind": 1, told: 1}


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".dib", ".apng"])
def test_images_of_rare_endings_are_read(tmp_path: Path, suffix: str) -> None:
    found = open_source(write(tmp_path / "pets", [name + suffix for name in NAMES]))
    with contextlib.closing(Decoder()) as decoder:
        images = list(read_images(found, range(len(NAMES)), None, decoder))
    assert [isinstance(image, np.ndarray) and image.shape for image in images] == [(4, 4, 1)] * 6


@pytest.mark.parametrize("name", ["x.csv", "x.zip", "x.tar", "x.npz", "x.parquet", "x"])
def test_a_pipe_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, "/dev/null"):
        with pytest.raises(SourceError, match=r"is a pipe or a device\. Write what it gives"):
            open_source(path)
        with pytest.raises(SourceError, match="is a pipe or a device"):
            open_source("digits", test=path)


def test_what_does_not_exist_is_refused_and_the_nearest_named(tmp_path: Path) -> None:
    write(tmp_path / "photos", NAMES)
    with pytest.raises(SourceError, match=r"there is no .*potos.*Did you mean `photos`\?"):
        open_source(tmp_path / "potos")
    with pytest.raises(
        SourceError, match=r"there is no .*a \.tar .*, a \.csv, a \.parquet, an \.npz"
    ):
        open_source(tmp_path / "none" / "none")
    with pytest.raises(SourceError, match=r"Did you mean `digits`\?"):
        open_source("digit")
    for text in ("", "a" * 5000, "~nobody-has-this-name", "~nobody-has-this-name/x.csv"):
        with pytest.raises(SourceError, match="there is no"):
            open_source(text)


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.rar").write_bytes(b"")
    with pytest.raises(SourceError, match=r"x\.rar is none of these"):
        open_source(tmp_path / "x.rar")
    with pytest.raises(SourceError, match="but got int"):
        open_source(3)


def test_a_class_of_a_dataset_without_images_is_refused() -> None:
    data = Pairs()
    data.classes = ["cat", "dog", "elk"]  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="there is none of: elk"):
        open_source(data)


def test_a_table_names_files_classes_parts_and_groups(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    rows = [
        f"{name},{name[:3]},test," if "/1." in name else f"{name},{name[:3]},,{name[:3]}"
        for name in NAMES
    ]
    table = tmp_path / "pets.csv"
    table.write_text("\n".join(["file,kind,split,camera", *rows]))
    found = open_source(table, columns={"label": "kind"})
    assert found.name == "pets"
    assert content(found) == sorted(
        (name, name[:3], Given.TEST if "/1." in name else Given.NONE) for name in NAMES
    )
    assert found.read(0) == IMAGE
    assert found.groups is not None
    assert sorted(np.bincount(found.groups)) == [1, 1, 2, 2]
    again = open_source(table, columns={"label": "kind", "path": "file"})
    assert again.identity == found.identity


def test_a_path_that_does_not_exist_is_a_rejected_image_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    rows = [f"{name},{name[:3]}" for name in [*NAMES, "cat/gone.png"]]
    (tmp_path / "pets.csv").write_text("\n".join(["path,label", *rows]))
    found = open_source(tmp_path / "pets.csv")
    (rejected,) = read_images(found, [len(NAMES)], None, Decoder())
    assert isinstance(rejected, Rejected)
    assert (rejected.name, rejected.reason) == ("cat/gone.png", "No such file or directory")


def test_parquet_files_that_hold_images_are_a_source_and_its_test(tmp_path: Path) -> None:
    for name, labels in (("train", ["cat", "dog"] * 2), ("test", ["dog"])):
        images = [{"bytes": IMAGE, "path": None}] * len(labels)
        table = pa.table({"image": images, "label": labels})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    found = open_source(tmp_path / "train.parquet", test=tmp_path / "test.parquet")
    assert found.names == ("#0", "#1", "#2", "#3", "test:#0")
    assert found.labels.tolist() == [0, 1, 0, 1, 1]
    assert found.read(4) == IMAGE


def test_columns_are_those_of_a_table(tmp_path: Path) -> None:
    pets = write(tmp_path / "pets", NAMES)
    rows = [f"pets/{name},{name[:3]}" for name in NAMES[::2]]
    (tmp_path / "pets.csv").write_text("\n".join(["path,kind", *rows]))
    with pytest.raises(SourceError, match=r"`--columns` names .* but pets is none: leave it out"):
        open_source(pets, columns={"label": "kind"})
    with pytest.raises(SourceError, match=r"but pets is none"):
        open_source(pets, test=pack(tmp_path / "x.zip", NAMES[:1]), columns={"label": "kind"})
    with pytest.raises(SourceError, match="there is no"):
        open_source(tmp_path / "pets.tsv", columns={"label": "kind"})
    with pytest.raises(SourceError, match=r"but got 'lable'\. Did you mean `label`\?"):
        open_source(tmp_path / "pets.csv", columns={"lable": "kind"})
    found = open_source(pets, test=tmp_path / "pets.csv", columns={"label": "kind"})
    assert (found.given == Given.TEST).sum() == len(rows)
