"""Tests of `tunesmith.report.check_page`."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tunesmith.report import check_page
from tunesmith.report.check_page import headline
from tunesmith.report.findings import Checked, ClassLook, Finding, Item, Weight

from .test_html import NASTY, Page

LIST = "checks/my data/quarantine.csv"
render = partial(check_page.render, list_path=LIST)
SHOWN = 24  # pictures of a finding


def item(name: str, *, shown: bool = True, twin: Item | None = None) -> Item:
    image = np.full((8, 8, 3), 90, np.uint8) if shown else None
    return Item(file=name, label=name, note="what is the matter", image=image, twin=twin)


def finding(weight: Weight, *items: Item) -> Finding:
    return Finding(
        kind="x",
        weight=weight,
        title=f"a {weight} one",
        meaning="Why.",
        items=items,
        is_suspect=True,
    )


def checked(*findings: Finding, names: tuple[str, ...] = ("cat", "dog")) -> Checked:
    looks = {"brightness": 0.5, "pixels": 1024.0}
    return Checked(
        title="my data",
        images=1234,
        classes=[ClassLook(name=n, counts={"train": 5, "test": 0}, looks=looks) for n in names],
        findings=findings,
        fine=["Nothing of another kind."],
        skipped={"hidden file": 2, "link": 1},
        seconds={"decode": 1.5},
        versions={"tunesmith": "0"},
        columns={"path": "file", "group": "camera"},
    )


def test_the_page_stands_alone_and_says_what_was_found() -> None:
    page = Page(
        render(
            checked(
                finding("serious", item("a.png", twin=item("b.png"))),
                finding("notable", item("c.png", shown=False)),
            )
        )
    )
    assert not page.attributes("script")
    assert all(str(a["src"]).startswith("data:image/") for a in page.attributes("img"))
    for words in ("1,234 images in 2 classes", "1 serious problem", "a.png", "b.png", "c.png"):
        assert words in page.text
    assert "Nothing of another kind." in page.text
    assert "Left aside: 2 hidden files, 1 link." in page.text
    assert "Columns of the table" in page.text
    assert "path=file, group=camera" in page.text


def test_next_steps_are_those_that_there_are() -> None:
    nothing = Page(render(checked())).text
    assert "Train right away" in nothing
    assert "marked above" not in nothing
    assert LIST not in nothing
    listed = Page(render(checked(finding("serious", item("a.png"))))).text
    assert f"--quarantine '{LIST}'" in listed
    stop = replace(finding("serious", item("a.png")), title="No image can be read", stops=True)
    stopped = Page(render(checked(stop))).text
    assert "stops: No image can be read." in stopped
    assert "train right away" not in stopped
    marked = Page(render(checked(finding("notable")))).text
    assert "Look at what is marked above" in marked
    assert "Or train right away" in marked


def test_what_was_not_looked_for_is_not_called_looked_for() -> None:
    text = Page(render(replace(checked(), fine=["Copies: not looked for.", "Else: none."]))).text
    found, unsought = text.split("Looked for and not found")[1].split("Not looked for")
    assert "Else: none." in found
    assert "Copies: not looked for." not in found
    assert "Copies: not looked for." in unsought
    assert "Not looked for" not in Page(render(checked())).text


def test_a_class_that_was_too_small_to_fall_into_groups_has_no_distance() -> None:
    counts, looks = {"train": 5}, {"brightness": 0.5}
    some = [
        ClassLook(name=name, counts=counts, looks=looks, apart={"network": apart})
        for name, apart in (("cat", 1.26), ("dog", None))
    ]
    text = Page(render(replace(checked(), classes=some))).text.split("The classes")[1]
    assert text.index("cat") < text.index("1.3") < text.index("dog") < text.index("\N{EN DASH}")


def test_a_pair_is_shown_once() -> None:
    one, other = item("a.png", twin=item("b.png")), item("b.png", twin=item("a.png"))
    page = Page(render(checked(finding("doubtful", one, other))))
    assert len(page.attributes("img")) == 2
    assert "more" not in page.text.split("Looked for")[0]


def test_a_long_gallery_says_where_the_rest_is() -> None:
    items = [item(f"{i}.png", shown=i < SHOWN) for i in range(SHOWN + 7)]
    page = Page(render(checked(finding("doubtful", *items))))
    assert len(page.attributes("img")) == SHOWN
    assert "7 more are in quarantine.csv and check.json." in page.text
    page = Page(render(checked(finding("doubtful", *items[: SHOWN + 1]))))
    assert "1 more is in quarantine.csv and check.json." in page.text


@pytest.mark.parametrize("name", NASTY)
def test_names_are_shown_and_never_run(name: str) -> None:
    html = render(
        checked(finding("doubtful", item(name), item(name, shown=False)), names=(name, "b"))
    )
    page = Page(html)
    assert name in page.text
    assert not page.attributes("script")
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)


def test_the_headline_weighs() -> None:
    assert headline(checked()) == "Nothing wrong was found"
    assert headline(checked(finding("notable"))) == "Nothing wrong was found; 1 thing to know"
    unsought = replace(checked(), fine=["Copies: not looked for.", "Else: none."])
    assert headline(unsought) == "Nothing wrong was found in what was looked at"
    assert headline(checked(finding("doubtful"))) == "1 thing to look at"
    assert headline(checked(*[finding("doubtful")] * 2)) == "2 things to look at"
    assert headline(checked(finding("serious"), finding("doubtful"))) == "1 serious problem"


def test_the_medians_of_each_part_stand_under_those_of_the_class() -> None:
    parts = {"train": {"brightness": 0.25}, "test": {"brightness": 0.75}}
    counts, looks = {"train": 5, "test": 4}, {"brightness": 0.5}
    look = ClassLook(name="cat", counts=counts, looks=looks, by_part=parts)
    page = Page(render(replace(checked(), classes=[look])))
    order = ["cat", "0.50", "cat", ", train", "0.25", "cat", ", test", "0.75"]
    rest = page.text.split("The classes")[1]
    for words in order:
        assert words in rest
        rest = rest.split(words, 1)[1]
