"""Tests of `tunesmith.report.heat_map`."""

from xml.etree import ElementTree as ET

import pytest

from tunesmith.report.heat_map import heat_map


@pytest.mark.parametrize("k", [2, 10, 20, 30])
def test_every_cell_is_there(k: int) -> None:
    counts = [[30 if i == j else i * j % 3 for j in range(k)] for i in range(k)]
    names = [f"a long class name & number {i}" for i in range(k)]
    picture = ET.fromstring(heat_map(counts, names, title="t"))
    assert len(picture.findall("rect[@class='cell']")) == k * k
    assert len(picture.findall("rect[@class='right']")) == k
    shown = [t for t in picture.iter("text") if (t.get("class") or "").startswith("count")]
    assert len(shown) == sum(count > 0 for row in counts for count in row)


def test_colors_are_shares_of_the_row() -> None:
    picture = ET.fromstring(heat_map([[99, 1], [0, 0]], ["<a>", "b"], title="t"))
    right, wrong = picture.findall("rect[@class='right']"), picture.findall("rect[@class='wrong']")
    assert float(right[0].get("fill-opacity") or 0) > 0.9
    assert 0.2 < float(wrong[0].get("fill-opacity") or 0) < 0.5
    assert float(right[1].get("fill-opacity") or 1) == 0  # a class without an image
    title = wrong[0].find("title")
    assert title is not None
    assert title.text == "<a> answered b: 1 of 100"
