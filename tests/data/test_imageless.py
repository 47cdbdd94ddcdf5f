"""Tests of `tunesmith.data.imageless`."""

import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data.folders import EMPTY, HIDDEN, LINK, LINKED, passed_over
from tunesmith.data.imageless import LONE, imageless


def _kinds(others: list[str]) -> list[tuple[str, str]]:
    """Other files with the kinds by which they are passed over."""
    return [(name, passed_over(name) or "") for name in others]


CATS = ["cat/1.png", "cat/2.png"]
PARTED = ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"]
TEXT = b"BMW is a maker of cars and of motorcycles, in Munich, and has been one since 1916."


@pytest.mark.parametrize(
    ("names", "others", "content", "told"),
    [
        (
            CATS,
            ["dog/1.heic", "dog/2.HEIC", "dog/x.txt"],
            b"",
            r"3 files in dog .*\.heic, \.txt\)",
        ),
        (CATS, ["dog/deep/1.avif", "elk/1.svg"], b"", r"2 files in dog, elk .*\.avif, "),
        (CATS, ["dog/1", "dog/2.x"], b"P5 640 480 255\n", r"2 files in dog .* nothing, \.x\)"),
        (PARTED, ["test/dog/1.dng"], b"", r"1 file in test/dog can"),
    ],
)
def test_a_class_that_cannot_be_read_is_told(
    names: list[str], others: list[str], content: bytes, told: str
) -> None:
    with pytest.raises(SourceError, match=f"in pets none of the {told}"):
        imageless("pets", names, _kinds(others), lambda _: content)


@pytest.mark.parametrize(
    ("names", "others", "content", "counted"),
    [
        (CATS, ["cat/1.heic", "cat/deep/2.heic", "1.heic"], b"", {}),
        (
            CATS,
            ["docs/a.txt", "docs/b.csv", "x.txt"],
            TEXT,
            {f"{LONE} (docs: 2 files of another kind)": 1},
        ),
        (
            CATS,
            ["b/1.md", "a/1.xml"],
            b"",
            {f"{LONE} (b: 1 file of another kind, a: 1 file of another kind)": 2},
        ),
        (PARTED, ["raw/dog/1.heic", "train/1.heic"], b"", {}),
        (PARTED, ["val/notes/a.txt"], b"", {f"{LONE} (val/notes: 1 file of another kind)": 1}),
    ],
)
def test_a_folder_that_is_no_class_is_counted(
    names: list[str], others: list[str], content: bytes, counted: dict[str, int]
) -> None:
    assert imageless("pets", names, _kinds(others), lambda _: content) == counted


def test_few_files_of_a_folder_are_looked_into() -> None:
    asked: list[int] = []

    def begin(place: int) -> bytes:
        asked.append(place)
        return b""

    imageless("pets", CATS, _kinds([f"docs/{i}.txt" for i in range(100)]), begin)
    assert asked == list(range(10))
    asked.clear()
    links = [("docs/1.png", LINK), ("docs/.2.png", HIDDEN), ("docs/", EMPTY)]
    assert imageless("pets", CATS, links, begin)
    assert not asked


def test_folders_of_what_is_never_read_are_counted_by_their_kinds() -> None:
    passed = [
        *[(f"bird/{i}.png", LINK) for i in range(12)],
        ("bird/.hidden", HIDDEN),
        ("cow/", LINKED),
        ("dog/deep/", EMPTY),
        ("cat/deep/", EMPTY),
        ("x.png", LINK),
    ]
    told = "bird: 12 links and 1 hidden file, cow: 1 linked folder, dog: 1 empty folder"
    assert imageless("pets", CATS, passed, lambda _: b"") == {f"{LONE} ({told})": 3}
    parted = [("val/cat/1.png", LINK), ("test/elk/", EMPTY), ("validation/", LINKED)]
    told = "val/cat: 1 link, test/elk: 1 empty folder, validation: 1 linked folder"
    assert imageless("pets", PARTED, parted, lambda _: b"") == {f"{LONE} ({told})": 3}
