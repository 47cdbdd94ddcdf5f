"""Tests of `tunesmith.report.tune_page`."""

import math
import re
from dataclasses import replace

import pytest

from tunesmith.report.story import SearchReport, Tried
from tunesmith.report.tune_page import CLOSER, DOTS, Cloud, TunePage, render


def tried(number: int) -> Tried:
    values = (2.0, 1.0 + 0.01 * number)
    curve = [(share, value) for share, value in zip((0.1, 1.0), values, strict=True)]
    return Tried(number=number, values=[], curve=curve, seconds=1.0, state="finished")


def hunt(count: int) -> SearchReport:
    return SearchReport(
        trials=[tried(number) for number in range(count)],
        found=1,
        metric="value",
        first="the defaults",
        importance={"lr": 0.5, "kind": 0.2},
        stretches={},
        warnings=["There may be better beyond."],
        reasons=[],
    )


@pytest.fixture
def page() -> TunePage:
    points = {number: (10.0**-number, 1.0 + 0.01 * number) for number in range(15)}
    return TunePage(
        title="<train>",
        value=1.01,
        trained="after 50 units (defaults: 1)",
        said=["It was chosen because it is <good>."],
        config=[("lr", "0.1", "1"), ("kind", "a", "a")],
        checkpoint="/runs/<train>/trials/0001",
        version="1.2.3",
        hunt=hunt(15),
        clouds=[Cloud(name="lr", points=points, log=True)],
    )


def test_how_early_trials_were_compared_is_said(page: TunePage) -> None:
    told = "a trial, after as much training as all of them had"
    assert f"{told};" in render(page)
    early = replace(page, hunt=replace(page.hunt, compared_at=0.04))
    assert f"{told} (4 % of a whole one, which may not hold at the end);" in render(early)


def test_short_times_are_told_in_milliseconds(page: TunePage) -> None:
    quick = [replace(trial, seconds=0.0123) for trial in page.hunt.trials]
    assert '<td class="number">12 ms</td>' in render(
        replace(page, hunt=replace(page.hunt, trials=quick))
    )


def charts(page: TunePage) -> list[str]:
    return re.findall(r'<svg class="chart".*?</svg>', render(page), re.DOTALL)


def test_the_page_shows_the_search_and_escapes_names(page: TunePage) -> None:
    text = render(page)
    for part in (
        "1.01</strong>",
        "&lt;train&gt;",
        "&lt;good&gt;",
        "0001",
        "1.2.3",
        "better beyond",
    ):
        assert part in text
    assert "<train>" not in text
    assert '<td class="number"><b>0.1</b></td><td class="number quiet">1</td>' in text
    assert '<td class="number">a</td>' in text
    assert "Where it differs from the defaults" in text
    assert "0, the defaults" in text
    assert "://" not in text


def test_the_best_curves_are_drawn_closer(page: TunePage) -> None:
    closer, _, _ = charts(page)
    assert closer.count("<polyline") == CLOSER
    assert 'aria-label="value of the best 10 trials against their training, closer"' in closer
    ticks = [float(text) for text in re.findall(r'text-anchor="end">([\d.]+)<', closer)]
    assert max(ticks) < 1.2  # where all curves begin is not among them
    assert len(charts(replace(page, hunt=hunt(CLOSER)))) == 2
    assert len(charts(replace(page, hunt=hunt(CLOSER), clouds=[]))) == 1


def test_the_closer_curves_show_where_trials_were_resumed(page: TunePage) -> None:
    trials = [replace(t, resumed=[t.curve[1]] if t.number < 12 else []) for t in page.hunt.trials]
    resumed = replace(page, hunt=replace(page.hunt, trials=trials))
    closer, _, curves = charts(resumed)
    assert closer.count('class="dot ring"') == CLOSER + 1  # and legend
    assert curves.count('class="dot ring"') == 12 + 1
    early = [replace(trial, resumed=[trial.curve[0]]) for trial in page.hunt.trials]
    assert "resumed" not in charts(replace(page, hunt=replace(page.hunt, trials=early)))[0]


def test_each_trial_is_a_dot_by_its_setting(page: TunePage) -> None:
    _, cloud, _ = charts(page)
    assert (
        len(re.findall(r'<circle class="dot \w+" cx="[\d.]+" cy="[\d.]+" r="3.2"/>', cloud)) == 17
    )
    assert [cloud.count(f'class="dot {style}"') for style in ("a", "b")] == [2, 2]  # and legend
    wild = {**page.clouds[0].points, 3: (0.5, 1e12)}
    (_, cloud, _) = charts(replace(page, clouds=[Cloud(name="lr", points=wild, log=False)]))
    assert "G<" not in cloud
    many = {number: (1.0 + number, 1.0) for number in range(2 * DOTS)}
    full = replace(page, hunt=hunt(2 * DOTS), clouds=[Cloud(name="n", points=many, log=True)])
    assert charts(full)[1].count("<circle") == DOTS + 2


def test_a_trial_without_a_value_is_no_dot(page: TunePage) -> None:
    broken = replace(
        page.hunt, trials=[*page.hunt.trials, replace(tried(15), curve=[(1.0, math.nan)])]
    )
    assert len(charts(replace(page, hunt=broken))) == 3
