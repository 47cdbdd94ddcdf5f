"""Tests of `tunesmith.report.heat_map`."""

from unicodedata import east_asian_width
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


def wide(text: str) -> int:
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


@pytest.mark.parametrize("k", [3, 10, 30])
@pytest.mark.parametrize(
    "name", ["ゴールデン・レトリバー", "골든 리트리버 강아지", "金毛寻回犬" * 3, "cat"]
)
def test_names_of_wide_letters_are_inside(k: int, name: str) -> None:
    names = [name] * k
    picture = ET.fromstring(heat_map([[1] * k] * k, names, title="t"))
    rows = [t for t in picture.iter("text") if t.get("text-anchor") == "end"]
    assert len(rows) == k
    for row in rows:
        assert wide(row.text or "") <= 14
        # Letters are twelve pixels high: a wide one is as wide, others are hardly more than half.
        assert 6 * wide(row.text or "") <= float(row.get("x") or 0)
    assert any("…" in (row.text or "") for row in rows) == (wide(name) > 14)


def test_large_counts_fit_their_cells() -> None:
    counts = [[987, 1234], [12_345, 4_567_890]]
    picture = ET.fromstring(heat_map(counts, ["a", "b"], title="t"))
    shown = [t for t in picture.iter("text") if (t.get("class") or "").startswith("count")]
    assert [t.text for t in shown] == ["987", "1.2k", "12k", "4.6M"]
    titles = [t.text for t in picture.iter("title")]
    assert "a answered b: 1234 of 2221" in titles
