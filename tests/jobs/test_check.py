"""Tests of `tunesmith.jobs.check`, as users call it."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.core.errors import BundleError, RunFolderError
from tunesmith.core.pixels import decode
from tunesmith.data.decode import Sample, sample
from tunesmith.data.decoder import Decoder, Named
from tunesmith.data.loaded import Decoded
from tunesmith.data.source import Source
from tunesmith.jobs import check as job
from tunesmith.jobs.check import NO_MIRRORED, CheckResult, check
from tunesmith.jobs.gate import look
from tunesmith.jobs.gate.gate import Gated, gate

CLASSES = ("ant", "bee", "cow")
Image = NDArray[np.uint8]


class MakeParts(Protocol):
    def __call__(self, change: Callable[[str, Image], Image] = ...) -> Path: ...


@pytest.fixture
def make_parts(tmp_path: Path) -> MakeParts:
    """Write train and test folders of colored textures that tell nothing of their class."""

    def make(change: Callable[[str, Image], Image] = lambda _part, x: x) -> Path:
        chance = np.random.default_rng(0)
        for part, count in {"train": 40, "test": 15}.items():
            for label in CLASSES:
                folder = tmp_path / "data" / part / label
                folder.mkdir(parents=True)
                for number in range(count):
                    rough = chance.normal(size=(24, 24, 3)).astype(np.float32)
                    x_HWC = chance.uniform(90, 170) + 200 * cv2.GaussianBlur(rough, (0, 0), 1.5)
                    image = change(part, x_HWC.clip(0, 255).astype(np.uint8))
                    cv2.imwrite(str(folder / f"{number:02}.png"), image)
        return tmp_path / "data"

    return make


def read(path: Path) -> Image:
    """Pixels as OpenCV writes them: blue first."""
    return decode(path.read_bytes(), 3)[..., ::-1]


def kinds(result: CheckResult) -> list[str]:
    return [finding.kind for finding in result.checked.findings]


def listed(result: CheckResult) -> dict[str, str]:
    with (result.folder / "quarantine.csv").open(encoding="utf-8") as file:
        return {row["file"]: row["kind"] for row in csv.DictReader(file)}


def test_clean_data(make_parts: MakeParts, tmp_path: Path) -> None:
    result = check(make_parts(), out=tmp_path / "out", progress=False)
    assert kinds(result) == []
    assert listed(result) == {}
    assert "Nothing wrong was found" in result.report.read_text("utf-8")
    assert len(result.checked.fine) == 8  # each look that was taken is named
    assert result.checked.classes[0].counts == {"images": 0, "train": 40, "val": 0, "test": 15}


def test_what_is_wrong_is_found_and_nothing_is_changed(
    make_parts: MakeParts, tmp_path: Path
) -> None:
    root = make_parts()
    leak = read(root / "test" / "ant" / "03.png")
    brighter = np.clip(leak.astype(np.int64) + 25, 0, 255).astype(np.uint8)
    cv2.imwrite(str(root / "train" / "ant" / "brighter.png"), brighter)
    shutil.copy(root / "train" / "bee" / "00.png", root / "train" / "cow" / "same.png")
    shutil.copy(root / "train" / "bee" / "01.png", root / "train" / "bee" / "again.png")
    (root / "train" / "cow" / "note.png").write_text("no image")
    cv2.imwrite(str(root / "train" / "cow" / "black.png"), np.zeros((24, 24, 3), np.uint8))
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    result = check(root, out=tmp_path / "out", progress=False)
    assert kinds(result) == ["leak", "unreadable", "conflict", "odd", "copies"]
    assert listed(result) == {
        "train/ant/brighter.png": "leak",
        "train/cow/note.png": "unreadable",
        "train/bee/00.png": "conflict",
        "train/cow/same.png": "conflict",
    }
    (odd,) = (f for f in result.checked.findings if f.kind == "odd")
    assert [(i.file, i.note) for i in odd.items] == [("train/cow/black.png", "nearly of one shade")]
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before
    written = json.loads((result.folder / "check.json").read_text("utf-8"))
    assert [f["kind"] for f in written["findings"]] == kinds(result)
    assert written["images"] == 3 * 55 + 5


def test_among_many_images_mirrored_copies_are_not_looked_for_and_that_is_said(
    make_parts: MakeParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_parts()
    cv2.imwrite(str(data / "train" / "ant" / "twin.png"), read(data / "train/ant/00.png")[:, ::-1])
    assert kinds(check(data, out=tmp_path / "few", progress=False)) == ["copies"]
    monkeypatch.setattr("tunesmith.jobs.check.MIRRORED_MOST", 10)
    result = check(data, out=tmp_path / "many", progress=False)
    assert kinds(result) == []
    assert NO_MIRRORED in result.checked.fine


def test_a_test_part_of_another_kind(make_parts: MakeParts, tmp_path: Path) -> None:
    def darker(part: str, x_HWC: Image) -> Image:
        return x_HWC // 2 if part == "test" else x_HWC

    result = check(make_parts(darker), out=tmp_path / "out", progress=False)
    assert kinds(result) == ["shift"]


def test_a_clue_that_gives_a_class_away(make_parts: MakeParts, tmp_path: Path) -> None:
    root = make_parts()
    for path in (root / "train" / "bee").iterdir():
        cv2.imwrite(str(path.with_suffix(".jpg")), read(path))
        path.unlink()
    result = check(root, out=tmp_path / "out", progress=False)
    assert kinds(result) == ["shortcut"]
    assert result.checked.findings[0].title == "“bee” can be guessed from the format of the file"


def test_large_photographs_of_many_sizes(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for label in CLASSES:
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(25):
            size = chance.integers(80, 200, 2)
            rough = chance.normal(size=(*size, 3)).astype(np.float32)
            image = (128 + 500 * cv2.GaussianBlur(rough, (0, 0), 6)).clip(0, 255)
            cv2.imwrite(str(tmp_path / "data" / label / f"{number:02}.jpg"), image)
    twin = read(tmp_path / "data" / "ant" / "00.jpg")
    smaller = cv2.resize(twin, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "data" / "ant" / "smaller.jpg"), smaller)
    result = check(tmp_path / "data", out=tmp_path / "out", progress=False)
    assert kinds(result) == ["copies"]
    (pair,) = result.checked.findings[0].items
    assert pair.twin
    assert {pair.file, pair.twin.file} == {"ant/00.jpg", "ant/smaller.jpg"}


def test_few_images_and_uneven_classes(tmp_path: Path) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (130, 8, 8, 1)).astype(np.uint8)
    y_N = np.repeat([0, 1], [120, 10])
    result = check((x_NHWC, y_N), out=tmp_path / "out", progress=False)
    (finding,) = result.checked.findings
    assert finding.kind == "uneven"
    assert "120 images to learn from, the smallest (“1”) 10" in finding.meaning
    assert "train with --metric balanced_accuracy" in finding.meaning


def test_names_of_classes_that_are_no_unicode_are_escaped(tmp_path: Path) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    x_NHWC[1] = x_NHWC[0]  # two labels contradict each other
    y_N = ["caf\udce9", "é"] * 30
    result = check((x_NHWC, y_N), out=tmp_path / "out", progress=False)
    written = json.loads((result.folder / "check.json").read_text("utf-8"))
    assert [each["name"] for each in written["classes"]] == ["caf\\udce9", "é"]
    assert listed(result) == {"#0": "conflict", "#1": "conflict"}
    assert "caf\\udce9" in result.quarantine.read_text("utf-8")
    assert "caf\\udce9" in result.report.read_text("utf-8")
    assert result.as_json().encode("utf-8")


def test_a_list_that_was_edited_is_not_overwritten(make_parts: MakeParts, tmp_path: Path) -> None:
    root = make_parts()
    (root / "train" / "cow" / "note.png").write_text("no image")
    for _ in range(2):  # untouched, it may be written anew
        check(root, out=tmp_path / "out", progress=False)
    (tmp_path / "out" / "quarantine.csv").write_text("file,label,kind,reason\n")
    with pytest.raises(RunFolderError, match=r"quarantine\.csv was edited .* --out"):
        check(root, out=tmp_path / "out", progress=False)


def test_somebody_else_s_list_is_refused_before_anything_is_looked_at(
    make_parts: MakeParts, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cache.db").touch()
    (tmp_path / "out" / "quarantine.csv").write_text("file\nmine.png\n")
    with pytest.raises(RunFolderError, match=r"is somebody else's, .* Move it elsewhere"):
        check(make_parts(), out=tmp_path / "out", progress=False)
    assert len([*(tmp_path / "out").iterdir()]) == 2


@pytest.mark.parametrize("there", [["check.html"], ["check.json"], ["cache.db", "job.json"]])
def test_a_folder_of_something_else_is_refused_before_anything_is_looked_at(
    make_parts: MakeParts, tmp_path: Path, there: list[str]
) -> None:
    (tmp_path / "mine").mkdir()
    for name in there:
        (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(RunFolderError, match=rf"holds no check \(it has {there[0]}.*Pass an --out"):
        check(make_parts(), out=tmp_path / "mine", progress=False)
    assert {p.name: p.read_text() for p in (tmp_path / "mine").iterdir()} == dict.fromkeys(
        there, "mine"
    )


@pytest.mark.parametrize("left", ["cache.db", ".quarantine.csv.sha256", "check.log"])
def test_what_is_left_of_a_check_that_was_killed_or_tidied_up_is_gone_on_with(
    make_parts: MakeParts, tmp_path: Path, left: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / left).touch()
    assert check(make_parts(), out=tmp_path / "out", progress=False).report.exists()


@pytest.mark.parametrize("inside", ["train", "train/found", "test", "train/../test/found"])
def test_nothing_is_written_into_the_data(
    make_parts: MakeParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    root = make_parts()
    before = sorted(root.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for place in (root, Path("data")):
        with pytest.raises(RunFolderError, match=r"is in the data .* is changed\. Pass an --out"):
            check(place / "train", test=f"{place}/test", out=root / inside, progress=False)
    assert sorted(root.rglob("*")) == before


def test_a_list_that_is_edited_meanwhile_is_not_overwritten(
    make_parts: MakeParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate_while_edited(*arguments: Any, **options: Any) -> Gated:
        (tmp_path / "out" / "quarantine.csv").write_text("file\nmine.png\n")
        return gate(*arguments, **options)

    monkeypatch.setattr(job, "gate", gate_while_edited)
    with pytest.raises(RunFolderError, match="was edited"):
        check(make_parts(), out=tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "quarantine.csv").read_text() == "file\nmine.png\n"
    assert "Nothing wrong was found" in (tmp_path / "out" / "check.html").read_text("utf-8")


def test_a_model_that_does_not_fit_is_refused_before_anything_is_looked_at(
    make_parts: MakeParts, tmp_path: Path, digits_run: Path
) -> None:
    root = make_parts()
    for model, reason in {
        tmp_path / "nowhere": r"it has no manifest\.json",
        digits_run: r"knows the classes 0, 1, 2 and 7 more, .* data have ant, bee, cow\. Pass",
    }.items():
        with pytest.raises(BundleError, match=reason):
            check(root, deep=True, model=[model], out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from tunesmith.jobs import check
from tunesmith.jobs.gate import look
from tunesmith.records.cache import Cache

look.AT_ONCE = 8
put, left = Cache.put, int(sys.argv[3])

def putting(cache, values):
    global left
    put(cache, values)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

Cache.put = putting
check.check(sys.argv[1], out=sys.argv[2], progress=False)
"""


@pytest.mark.parametrize("puts", [1, 6, 24])  # the size, five parts of eight images, all and pairs
def test_a_killed_check_goes_on_where_it_was(
    make_parts: MakeParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    root = make_parts()
    shutil.copy(root / "train" / "bee" / "00.png", root / "train" / "cow" / "same.png")
    command = [sys.executable, "-c", KILLED, str(root), str(tmp_path / "killed"), str(puts)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    fresh: list[str | None] = []
    examine = Decoder.examine

    def noting(
        decoder: Decoder, files: Sequence[Named], channels: int | None, **options: Any
    ) -> Iterator[Decoded | str]:
        fresh.extend(name for _, name in files)
        return examine(decoder, files, channels, **options)

    def unnoted(source: Source, **options: Any) -> Sample:
        found = sample(source, **options)
        fresh.clear()
        return found

    monkeypatch.setattr(Decoder, "examine", noting)
    monkeypatch.setattr(look, "sample", unnoted)
    killed = check(root, out=tmp_path / "killed", progress=False)
    assert len(fresh) <= max(0, 166 - 8 * (puts - 1))
    fresh.clear()
    whole = check(root, out=tmp_path / "whole", progress=False)
    assert len(fresh) == 166
    assert kinds(killed) == kinds(whole) == ["conflict", "copies"]
    for one, other in zip(killed.checked.findings, whole.checked.findings, strict=True):
        assert [item.file for item in one.items] == [item.file for item in other.items]
    assert killed.checked.classes == whole.checked.classes


def test_a_file_that_is_no_cache_is_left_alone_and_said(
    make_parts: MakeParts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cache.db").write_text("somebody else's")
    assert kinds(check(make_parts(), out=tmp_path / "out")) == []
    assert "cache.db is of no use, so nothing was kept: file is not a database." in " ".join(
        capsys.readouterr().out.split()
    )
    assert (tmp_path / "out" / "cache.db").read_text() == "somebody else's"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path / "file"))
    for out in (tmp_path / "file" / "out", "~/out"):
        with pytest.raises(RunFolderError, match="file is a file, and a folder is needed"):
            check("digits", out=out, progress=False)


def test_what_lies_in_files_beside_the_image(make_parts: MakeParts, tmp_path: Path) -> None:
    root = make_parts()
    with (root / "train" / "ant" / "00.png").open("ab") as file:
        file.write(b"#!/bin/sh\nrm -rf /\n")
    (root / "train" / "ant" / "01.png").rename(root / "train" / "ant" / "01.jpg")
    result = check(root, out=tmp_path / "out", progress=False)
    assert kinds(result) == ["file-hidden", "file-name"]
    hidden, renamed = result.checked.findings
    assert [item.file for item in hidden.items] == ["train/ant/00.png"]
    assert "a shell script" in hidden.items[0].note
    assert [item.file for item in renamed.items] == ["train/ant/01.jpg"]
    assert ["Nothing of it gets" in each.meaning for each in (hidden, renamed)] == [True, False]
    assert "rm -rf" not in result.report.read_text("utf-8")
