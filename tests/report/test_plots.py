"""Tests of `tunesmith.report.plots`."""

import itertools
import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.report.plots import HEIGHT, LEFT, WIDTH, Axis, Series, line_chart, log_ticks, ticks

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(low=NUMBERS, size=st.floats(1e-6, 1e9))
def test_ticks_are_inside_even_and_few(low: float, size: float) -> None:
    high = low + size
    if size < 1e-9 * abs(low):
        return  # finer than a float can tell
    found = ticks(low, high)
    slack = 1e-6 * size + 1e-9 * abs(low)
    assert len(found) <= 6
    assert all(low - slack <= tick <= high + slack for tick in found)
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert max(steps, default=0) == pytest.approx(min(steps, default=0), rel=1e-3, abs=slack)


@given(
    points=st.lists(st.tuples(NUMBERS, st.floats(allow_nan=True, allow_infinity=True)), max_size=9)
)
def test_any_points_give_a_picture_or_nothing(points: list[tuple[float, float]]) -> None:
    series = Series(name="<loss> & more", points=points, dots=True)
    drawn = line_chart([series], x=Axis(label="x"), y=Axis(label="y"), title='a "title"')
    if not series.finite():
        assert drawn == ""
        return
    picture = ET.fromstring(drawn)
    assert picture.get("aria-label") == 'a "title"'
    assert len(picture.findall("circle[@class='dot a']")) == len(series.finite()) + 1  # the legend


def test_points_stand_where_they_should() -> None:
    drawn = line_chart(
        [Series(name="loss", points=[(0, 0), (10, 1)])],
        x=Axis(label="images", low=0, high=10),
        y=Axis(label="accuracy", low=0, high=1, percent=True),
        title="t",
        shade=Series(name="rate", points=[(0, 1), (10, 0)]),
    )
    picture = ET.fromstring(drawn)
    line = picture.find("polyline")
    assert line is not None
    first, last = [tuple(map(float, p.split(","))) for p in (line.get("points") or "").split()]
    assert first[0] == LEFT
    assert LEFT < last[0] <= WIDTH
    assert 0 < last[1] < first[1] < HEIGHT
    texts = [t.text for t in picture.iter("text")]
    assert {"0 %", "100 %", "images", "accuracy", "loss", "rate"} <= set(texts)
    assert picture.find("polygon") is not None


@given(low=st.floats(-12, 12), size=st.floats(0.01, 24))
def test_ticks_of_a_logarithmic_scale_are_inside_and_few(low: float, size: float) -> None:
    found = log_ticks(low, low + size)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-6 <= math.log10(tick) <= low + size + 1e-6 for tick in found)
    assert found == sorted(found)


def test_a_logarithmic_scale_has_even_steps_by_factors() -> None:
    drawn = line_chart(
        [Series(name="", points=[(1e-4, 0), (1e-2, 1), (1.0, 2), (0.0, 3), (-1.0, 4)])],
        x=Axis(label="lr", log=True),
        y=Axis(label="value"),
        title="t",
    )
    line = ET.fromstring(drawn).find("polyline")
    assert line is not None
    places = [float(point.split(",")[0]) for point in (line.get("points") or "").split()]
    assert len(places) == 3
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert {"0.0001", "0.01", "1"} <= {text.text for text in ET.fromstring(drawn).iter("text")}
