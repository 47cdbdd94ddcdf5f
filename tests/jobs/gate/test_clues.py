"""Tests of `tunesmith.jobs.gate.clues`."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.data import examine
from tunesmith.data.examine import Examined, Kind
from tunesmith.data.loaded import Loaded
from tunesmith.data.sources import open_source
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.gate.clues import shortcuts
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.gate import gate
from tunesmith.report.findings import Finding

PLAIN = Examined(format="JPEG", findings=(), metadata=("E0",))


def of_files(one: Examined, other: Examined, *, apart_from: int = 0) -> Data:
    """Two classes with files of one kind each, but for some of the second."""
    labels_N = np.arange(200) % 2
    pixels = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1)).astype(np.uint8)
    loaded = Loaded(
        pixels=pixels,
        kept=np.arange(200),
        rejected=(),
        shapes=np.full((200, 2), 8),
        resized=False,
        examined=[
            other if label and place >= 2 * apart_from else one
            for place, label in enumerate(labels_N)
        ],
    )
    return Data(source=open_source((pixels, labels_N)), loaded=loaded)


def clue_of(data: Data) -> Finding:
    none = np.zeros((0, 2), np.int64)
    found = gate(data, Depth.WHOLE, lambda _: nullcontext(), search=lambda *_: none).findings
    (clue,) = (each for each in found if each.kind == "shortcut")
    return clue


def test_too_few_images_are_not_called_free_of_clues() -> None:
    data = of_files(PLAIN, PLAIN)
    (said,) = shortcuts(data, None)
    assert "of the background): not looked at: fewer than 40 images a class, of copies" in str(said)
    assert "none" in str(*shortcuts(data, ()))


@pytest.mark.parametrize(
    ("kinds", "named"),
    [(("E0", "EXIF"), "Exif"), ((), "the position where it was taken"), (("E0", "E9"), "“E9”")],
)
def test_metadata_that_only_one_class_has_give_it_away(kinds: tuple[str, ...], named: str) -> None:
    where = examine.Finding(Kind.POSITION, "its metadata say where it was taken")
    told = Examined(format="JPEG", findings=() if kinds else (where,), metadata=kinds or ("E0",))
    clue = clue_of(of_files(PLAIN, told))
    assert clue.title.endswith("can be guessed from the metadata of the file")
    assert f": all of this class have {named}, none of the others." in clue.meaning
    assert "A model does not see it" in clue.meaning


def test_a_share_of_files_is_called_neither_none_nor_all() -> None:
    told = Examined(format="JPEG", findings=(), metadata=("E0", "EXIF"))
    assert (
        "90.0 % of this class have Exif, none of the others"
        in clue_of(of_files(PLAIN, told, apart_from=10)).meaning
    )


def test_the_format_of_a_class_is_named() -> None:
    clue = clue_of(of_files(PLAIN, Examined(format="PNG", findings=())))
    assert clue.title.endswith("can be guessed from the format of the file")
    assert "all of this class have the format PNG, none of the others" in clue.meaning


@pytest.mark.parametrize(("frame", "told"), [(0, "border"), (3, "background")])
def test_the_color_behind_the_things_gives_a_class_away(frame: int, told: str) -> None:
    chance = np.random.default_rng(0)
    labels_N = np.arange(200) % 2
    pixels = chance.integers(0, 256, (200, 32, 32, 3)).astype(np.uint8)
    inner = slice(frame, 32 - frame)
    pixels[:, inner, inner] = np.where(labels_N, 200, 90)[:, None, None, None]
    pixels[:, 12:20, 12:20] = chance.integers(0, 256, (200, 8, 8, 3))
    data = replace(
        of_files(PLAIN, PLAIN),
        source=open_source((pixels, labels_N)),
        loaded=replace(of_files(PLAIN, PLAIN).loaded, pixels=pixels, shapes=np.full((200, 2), 32)),
    )
    assert clue_of(data).title.endswith(f"can be guessed from the color of the {told}")
