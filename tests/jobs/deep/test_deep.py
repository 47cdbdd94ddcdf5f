"""Tests of `tunesmith.jobs.deep.deep`: the pretrained network on drawn shapes."""

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
from torch import Tensor, nn

from tunesmith.core.pixels import decode
from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.check import CheckResult, check
from tunesmith.jobs.deep import backdoors, deep, suspects
from tunesmith.jobs.gate import crops
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding
from tunesmith.screening.parting import Parted
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features


class MakeFolder(Protocol):
    def __call__(
        self, name: str = "shapes", *, count: int = 12, size: tuple[int, int] = (16, 16)
    ) -> Path: ...


@pytest.fixture
def result(make_folder: MakeFolder, tmp_path: Path) -> CheckResult:
    """A deep look at shapes, of which one lies in the wrong folder and one is a text."""
    root = make_folder(count=40, size=(32, 32))
    shutil.move(root / "disc" / "007.png", root / "cross" / "moved.png")
    page = np.full((32, 32, 3), 255, np.uint8)
    for row, words in enumerate(("Dear", "Sirs", "we")):
        cv2.putText(page, words, (1, 10 + 10 * row), cv2.FONT_HERSHEY_PLAIN, 0.7, (0, 0, 0))
    (root / "ring" / "letter.png").write_bytes(cv2.imencode(".png", page)[1].tobytes())
    for number in range(10, 20):
        path = root / "cross" / f"{number:03}.png"
        image = decode(path.read_bytes())[..., ::-1].copy()
        image[28:31, 28:31] = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]])[..., None]
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return check(root, deep=True, out=tmp_path / "out", progress=False)


def test_what_a_network_sees_tells_more(result: CheckResult) -> None:
    found = {finding.kind: finding for finding in result.checked.findings}
    assert [i.file for i in found["stamp"].items] == [f"cross/{n:03}.png" for n in range(10, 20)]
    assert found["stamp"].weight == "serious"
    assert "100 % of these images are labeled “cross”" in found["stamp"].meaning
    assert {i.file: i.note for i in found["label"].items}["cross/moved.png"] == "probably disc"
    assert "ring/letter.png" in [item.file for item in found["stranger"].items]
    with (result.folder / "quarantine.csv").open(encoding="utf-8") as file:
        kinds = {row["file"]: row["kind"] for row in csv.DictReader(file)}
    assert kinds["cross/moved.png"] in {"label", "conflict"}  # shapes may be each other's copies
    assert "ring/letter.png" not in kinds  # rare, and perhaps right


def test_what_was_seen_is_not_seen_again(
    result: CheckResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        pytest.fail("This was known.")

    for name in ("features", "part_classes"):
        monkeypatch.setattr(deep, name, ask)
    monkeypatch.setattr(suspects, "find_doubted", ask)
    for name in ("find_repeated", "find_overlay"):
        monkeypatch.setattr(backdoors, name, ask)
    monkeypatch.setattr(crops, "find_crops", ask)
    again = check(tmp_path / "shapes", deep=True, out=tmp_path / "out", progress=False)
    for one, other in zip(result.checked.findings, again.checked.findings, strict=True):
        assert one.title == other.title
        assert [(i.file, i.note) for i in one.items] == [(i.file, i.note) for i in other.items]


def test_only_new_images_are_shown_to_the_network(
    result: CheckResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def noting(network: nn.Module, layer: str, data: TrainData, **layout: bool) -> Tensor:
        shown.append(len(data))
        return features(network, layer, data, **layout)

    monkeypatch.setattr(deep, "features", noting)
    path = tmp_path / "shapes" / "ring" / "005.png"
    image = cv2.GaussianBlur(decode(path.read_bytes())[..., ::-1].copy(), (3, 3), 0)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    check(tmp_path / "shapes", deep=True, out=result.folder, progress=False)
    assert shown == [1]


@pytest.mark.parametrize(
    ("sizes", "is_suspect"),
    [
        ([30, 30, 0], False),  # most classes, and a fifth of all images: two scanners
        ([10, 10, 9], True),  # most classes, but few images
        ([45, 0, 0], True),  # many images, but of one class
    ],
)
def test_groups_in_most_classes_are_told_and_not_listed_where_they_are_large(
    sizes: list[int], is_suspect: bool
) -> None:
    pixels, kept = np.zeros((300, 8, 8, 1), np.uint8), np.arange(300)
    loaded = Loaded(
        pixels=pixels, kept=kept, rejected=(), shapes=np.full((300, 2), 8), resized=False
    )
    data = Data(source=open_source((pixels, kept % 3)), loaded=loaded)
    parted = [
        Parted(places=kept[k::3][:size], apart=3.0 if size else 0.0) for k, size in enumerate(sizes)
    ]
    alike: Any = SimpleNamespace(same_N=kept)
    told = deep._in_groups(data, alike, {"network": parted}, [])
    said = [finding for finding in told if isinstance(finding, Finding)]
    assert [len(finding.items) for finding in said] == [size for size in sizes if size]
    assert all(finding.is_suspect is is_suspect for finding in said)
    assert all(("It is so in many classes" in f.meaning) is not is_suspect for f in said)


def test_one_image_that_can_be_read_is_too_few_to_look_among(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=2)
    for path in sorted(root.rglob("*.png"))[1:]:
        path.write_bytes(path.read_bytes()[:60])
    found = check(root, deep=True, out=tmp_path / "out", progress=False)
    unsaid = [each for each in found.checked.fine if "not looked for" in each]
    assert any(each.startswith("Images that show something of another kind: ") for each in unsaid)
    assert any(each.startswith("Labels that look wrong: ") for each in unsaid)
    assert any(each.startswith("Classes that fall into two groups") for each in unsaid)
