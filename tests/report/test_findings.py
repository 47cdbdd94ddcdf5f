"""Tests of `tunesmith.report.findings`."""

import json
from dataclasses import replace

from tunesmith.report.findings import (
    Checked,
    ClassLook,
    Finding,
    Item,
    each_pair_once,
    quarantine_rows,
    to_json,
)

TWIN = Item(file="test/a.png", label="cat")
LEAK = Finding(
    kind="leak",
    weight="serious",
    title="1 copy",
    meaning="It is left out.",
    items=[Item(file="train/a.png", label="cat", note="equal", twin=TWIN)],
    is_left_out=True,
)
CONFLICT = Finding(
    kind="conflict",
    weight="doubtful",
    title="2 images",
    meaning="One is wrong.",
    items=[Item(file="train/a.png", label="cat"), Item(file="train/b.png", label="dog")],
    is_suspect=True,
)
ODD = Finding(
    kind="odd",
    weight="doubtful",
    title="1 image",
    meaning="Look.",
    items=[Item(file="x", label="y")],
)


def test_each_image_is_listed_once_and_for_the_gravest_reason() -> None:
    rows = list(quarantine_rows([LEAK, CONFLICT, ODD], suspects=True))
    assert rows == [
        ("train/a.png", "cat", "leak", "equal"),
        ("train/b.png", "dog", "conflict", "2 images"),
    ]
    assert list(quarantine_rows([LEAK, CONFLICT, ODD], suspects=False)) == rows[:1]


def test_of_two_that_are_copies_of_each_other_one_is_shown_with_the_other() -> None:
    a, b, c = (Item(file=name, label="cat") for name in "abc")
    pairs = [replace(one, twin=twin) for one, twin in ((a, b), (b, a), (c, a))]
    assert each_pair_once(pairs) == [pairs[0], pairs[2]]
    assert each_pair_once([a, a, b]) == [a, a, b]  # these are no pairs


def test_programs_read_what_people_see() -> None:
    checked = Checked(
        title="x",
        images=3,
        classes=[ClassLook(name="cat", counts={"train": 2}, looks={"brightness": 0.5})],
        findings=[LEAK, CONFLICT],
        fine=["All else.", "Copies: not looked for, there was no time."],
        skipped={"hidden file": 1},
        seconds={"decode": 0.12345},
        versions={"python": "3"},
    )
    found = json.loads(to_json(checked))
    assert [f["kind"] for f in found["findings"]] == ["leak", "conflict"]
    assert found["findings"][0]["items"][0]["twin"]["file"] == "test/a.png"
    assert found["findings"][0]["left_out"] is True
    assert found["fine"] == ["All else."]
    assert found["unsought"] == ["Copies: not looked for, there was no time."]
    assert found["seconds"] == {"decode": 0.123}
    assert found["classes"][0]["counts"] == {"train": 2}
