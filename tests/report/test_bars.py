"""Tests of `tunesmith.report.bars`."""

from xml.etree import ElementTree as ET

import pytest

from tunesmith.report.bars import Part, interval_bar, stacked_bar


@pytest.mark.parametrize(("whole", "covered"), [(100, 500), (50, 1000), (10, 1000), (0, 1000)])
def test_parts_cover_their_share_of_the_whole(whole: float, covered: float) -> None:
    parts = [Part(name="a & b", size=20, style="p0"), Part(name="c", size=30, style="p1")]
    picture = ET.fromstring(stacked_bar(parts, whole=whole, title="t"))
    bars = [r for r in picture.iter("rect") if (r.get("class") or "").startswith("p")]
    ends = [float(r.get("x") or 0) + float(r.get("width") or 0) for r in bars]
    assert ends[-1] == pytest.approx(covered, abs=1.01)
    assert ends[0] == pytest.approx(covered * 0.4, abs=1.01)


def test_a_bar_of_nothing_is_a_picture() -> None:
    ET.fromstring(stacked_bar([], whole=0, title="t"))


def test_an_interval_starts_where_the_axis_does() -> None:
    picture = ET.fromstring(interval_bar(0.9, 0.7, 1.0, begin=0.8))
    whisker = picture.find("line[@class='whisker']")
    mark = picture.find("line[@class='mark']")
    assert whisker is not None
    assert mark is not None
    assert (whisker.get("x1"), whisker.get("x2"), mark.get("x1")) == ("0.00", "100.00", "50.00")


def test_a_filled_bar_without_an_interval_has_no_whisker() -> None:
    picture = ET.fromstring(interval_bar(0.25, 0.25, 0.25, filled=True))
    fill = picture.find("rect[@class='fill']")
    assert fill is not None
    assert fill.get("width") == "25.00"
    assert picture.find("line[@class='whisker']") is None
