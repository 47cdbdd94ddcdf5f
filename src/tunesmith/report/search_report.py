"""Pictures of a search: the curve of every trial, what mattered, and where its time went."""

import math
from itertools import islice
from typing import Any

from markupsafe import Markup

from tunesmith.core.words import duration
from tunesmith.report.bars import Part, interval_bar, stacked_bar
from tunesmith.report.plots import Axis, Series, line_chart
from tunesmith.report.sentences import METRICS, score_text
from tunesmith.report.story import SearchReport, Tried

MATTERING = 8  # most important settings to list
SHOWN = 200  # curves to draw, of the best trials
PLAN, FOUND, OTHER = "p0", "p1", "p6"  # colors of phases in report.css


def hunt_pictures(hunt: SearchReport) -> dict[str, Any]:
    """Make everything about a search that the page shows, other than sentences."""
    return {
        "curves": _curves(hunt),
        "time": _time(hunt),
        "importance": [
            {"name": name, "share": share, "bar": interval_bar(share, share, share, filled=True)}
            for name, share in islice(hunt.importance.items(), MATTERING)
        ],
        "value": lambda trial: _value(trial, hunt.metric),
        "median": lambda stretch: score_text(stretch.median, hunt.metric, n=0),
    }


def _value(trial: Tried, metric: str) -> str:
    """Format a trial's last value, which is that of its final weights; some have none."""
    if not trial.curve or not math.isfinite(trial.curve[-1][1]):
        return "none"
    return score_text(trial.curve[-1][1], metric, n=0)


def _curves(hunt: SearchReport) -> Markup:
    """Draw every trial's value against its training; the plan's and the found one stand out."""
    names = {0: ("the plan's settings", "a"), hunt.found: ("found", "b")}
    shown = sorted(hunt.trials[:SHOWN], key=lambda trial: trial.number in names)
    name, is_share = METRICS.get(hunt.metric, (hunt.metric, False))
    return line_chart(
        [
            Series(
                name=names.get(trial.number, ("", ""))[0],
                points=trial.curve,
                style=names.get(trial.number, ("", "ideal"))[1],
            )
            for trial in shown
        ],
        x=Axis(label="share of a whole training", low=0, percent=True),
        y=Axis(label=name.partition(":")[0], percent=is_share),
        title=f"{name} of {len(shown)} trials on validation images against their training",
    )


def _time(hunt: SearchReport) -> Markup:
    """Draw one bar of all trials' times, in the order in which they were started."""
    styles = {0: PLAN, hunt.found: FOUND}
    parts = [
        Part(
            name=f"trial {trial.number}, {duration(trial.seconds)}",
            size=trial.seconds,
            style=styles.get(trial.number, OTHER),
        )
        for trial in sorted(hunt.trials, key=lambda trial: trial.number)
    ]
    total = sum(part.size for part in parts)
    title = f"{duration(total)} of training in {len(parts)} trials"
    return stacked_bar(parts, whole=total, title=title)
