"""Tests of `tunesmith.report.search_report`."""

import dataclasses
import math
import re
from collections.abc import Callable

import pytest

from tunesmith.report.html import render
from tunesmith.report.search_report import SHOWN, hunt_pictures
from tunesmith.report.story import SearchReport, Story, Stretch, Tried


def tried(number: int, *values: float, state: str = "paused") -> Tried:
    return Tried(
        number=number,
        values=[("train.lr", "0.1")] if number else [],
        curve=[(0.04 * n, value) for n, value in enumerate(values, start=1)],
        seconds=2.0 * len(values),
        state=state,
    )


@pytest.fixture
def hunt() -> SearchReport:
    """A search of four trials, one of which failed at once."""
    return SearchReport(
        trials=[
            tried(2, 0.8, 0.9, 0.95, state="finished"),
            tried(0, 0.8, 0.91),
            tried(1, 0.7),
            tried(3, state="failed: It ran out of <memory>."),
        ],
        found=2,
        metric="accuracy",
        importance={"train.lr": 0.6, "params.width": 0.0},
        stretches={
            "train.lr": [
                Stretch(values="0.01 to 0.05", trials=3, median=0.8125, is_best=False),
                Stretch(values="0.1", trials=1, median=0.95, is_best=True),
            ]
        },
        warnings=["The best train.lr lies at the high end."],
        reasons=["4 settings were tried."],
    )


def test_the_plan_and_what_was_found_stand_out(hunt: SearchReport) -> None:
    curves = str(hunt_pictures(hunt)["curves"])
    assert curves.count('class="line ideal"') == 1
    assert curves.count(">the plan's settings<".replace("'", "&#39;")) == 1
    assert curves.count(">found<") == 1
    assert curves.count('class="line a"') == 2  # in the legend and in the chart
    assert "accuracy of 4 trials against their training" in curves


def test_where_a_trial_was_resumed_is_marked_on_its_curve(hunt: SearchReport) -> None:
    assert "resumed" not in str(hunt_pictures(hunt)["curves"])
    first, *others = hunt.trials
    resumed = dataclasses.replace(first, resumed=first.curve[:2])
    curves = str(hunt_pictures(dataclasses.replace(hunt, trials=[resumed, *others]))["curves"])
    assert curves.count('class="dot ring"') == 3  # one of them in the legend
    assert curves.count(">resumed<") == 1
    assert curves.count("<polyline") == 3  # no line joins the marks
    (line,) = re.findall(r'class="line b" points="([^"]+)"', curves)
    marks = re.findall(r'class="dot ring" cx="([^"]+)" cy="([^"]+)"', curves)[:2]
    assert [",".join(mark) for mark in marks] == line.split()[:2]


def test_the_time_of_each_trial_is_a_part_of_one_bar(hunt: SearchReport) -> None:
    time = str(hunt_pictures(hunt)["time"])
    assert "12.0 s of training in 4 trials" in time
    assert [time.count(f'class="{style}"') for style in ("p0", "p1", "p6")] == [1, 1, 2]
    assert "trial 2, 6.0 s" in time


def test_of_very_many_trials_the_others_are_one_part_of_it(hunt: SearchReport) -> None:
    many = [tried(number, 0.5) for number in range(4, SHOWN + 1)]
    found = dataclasses.replace(hunt, trials=[*hunt.trials, *many])
    pictures = hunt_pictures(found)
    time = str(pictures["time"])
    assert [time.count(f'class="{style}"') for style in ("p0", "p1", "p6")] == [1, 1, 2]
    assert f"trials 3 to {SHOWN}, 6 min 34 s" in time
    first = dataclasses.replace(found, trials=[*many, *hunt.trials], found=4)
    assert str(hunt_pictures(first)["curves"]).count("the plan") == 1


def test_values_far_out_do_not_hide_the_others(hunt: SearchReport) -> None:
    calm = [tried(n, 1.0, 0.5 + 0.01 * n) for n in range(20)]
    wild = dataclasses.replace(hunt, trials=[*calm, tried(20, 1e9, 1e12)], metric="value", found=1)
    assert "1000G" not in str(hunt_pictures(wild)["curves"])
    assert "1000G" in str(hunt_pictures(dataclasses.replace(wild, found=20))["curves"])


def test_values_of_a_metric_that_is_not_known_may_have_any_size(hunt: SearchReport) -> None:
    pictures = hunt_pictures(dataclasses.replace(hunt, metric="value"))
    assert pictures["value"](tried(1, 1.25e-7)) == "1.25e-07"
    assert pictures["median"](hunt.stretches["train.lr"][0]) == "0.8125"


def test_the_value_of_a_trial_is_the_last_one(hunt: SearchReport) -> None:
    value = hunt_pictures(hunt)["value"]
    assert value(hunt.trials[0]) == "95.0 %"
    assert value(tried(1, 0.95, 0.5)) == "50.0 %"
    assert value(hunt.trials[3]) == "none"
    assert value(tried(1, 0.5, math.nan)) == "none"
    losses = dataclasses.replace(hunt, metric="log_loss")
    assert hunt_pictures(losses)["value"](tried(1, 0.25, 0.5)) == "0.5000"


def test_the_page_shows_all_of_it(hunt: SearchReport, make_story: Callable[[], Story]) -> None:
    page = render(dataclasses.replace(make_story(), hunt=hunt))
    for text in ("What was tried", "4 settings were tried.", "lies at the high end", "train.lr"):
        assert text in page
    assert "It ran out of &lt;memory&gt;." in page
    assert 'href="#search"' in page
    assert '<th scope="rowgroup" rowspan="2">train.lr</th><td>0.01 to 0.05</td>' in page
    assert page.count("<b>95.0 %</b>") == 1
    few = dataclasses.replace(hunt, importance={}, stretches={})
    assert "do not tell which settings" in render(dataclasses.replace(make_story(), hunt=few))
    assert "What was tried" not in render(make_story())
    none = dataclasses.replace(hunt, trials=[], reasons=["No setting was tried."])
    page = render(dataclasses.replace(make_story(), hunt=none))
    assert "No setting was tried." in page
    assert "Where the time of the search went" not in page
