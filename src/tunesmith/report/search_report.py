"""Pictures of a search: the curves of its trials, what mattered, and where its time went."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from typing import Any

from markupsafe import Markup

from tunesmith.core.words import brief
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
        "median": lambda stretch: _text(stretch.median, hunt.metric),
    }


def _value(trial: Tried, metric: str) -> str:
    """Format a trial's last value, which is that of its final weights; some have none."""
    if not trial.curve or not math.isfinite(trial.curve[-1][1]):
        return "none"
    return _text(trial.curve[-1][1], metric)


def _text(value: float, metric: str) -> str:
    """Format a value; one of a user's own function may have any size."""
    return score_text(value, metric, n=0) if metric in METRICS else f"{value:.4g}"


def _curves(hunt: SearchReport) -> Markup:
    """Draw every trial's value against its training; the first and the found one stand out."""
    shown = sorted(_shown(hunt), key=lambda trial: trial.number in {0, hunt.found})
    low, high = _limits(hunt)
    name, is_share = METRICS.get(hunt.metric, (hunt.metric, False))

    def inside(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x, min(high, max(low, y))) for x, y in points]

    return line_chart(
        [
            *(series(trial.number, inside(trial.curve), hunt) for trial in shown),
            rings(point for trial in shown for point in inside(trial.resumed)),
        ],
        x=Axis(label="share of a whole training", low=0, percent=True),
        y=Axis(label=name.partition(":")[0], percent=is_share),
        title=f"{name} of {len(shown)} trials against their training",
    )


def series(
    number: int, points: Sequence[tuple[float, float]], hunt: SearchReport, *, dots: bool = False
) -> Series:
    """Draw a trial; the first and the found one stand out."""
    names = {0: (hunt.first, "a"), hunt.found: ("found", "b")}
    name, style = names.get(number, ("", "ideal"))
    return Series(name=name, points=points, style=style, dots=dots)


def rings(resumed: Iterable[tuple[float, float]]) -> Series:
    """Mark points at which trials were paused, and resumed after slices of others."""
    return Series(name="resumed", points=list(resumed), style="ring", dots=True, joined=False)


def _shown(hunt: SearchReport) -> list[Tried]:
    """Return the best trials, and the one that the search began with."""
    best, others = hunt.trials[:SHOWN], hunt.trials[SHOWN:]
    return [*best, *(trial for trial in others if trial.number == 0)]


def _limits(hunt: SearchReport) -> tuple[float, float]:
    """Values of all curves to draw; the two that stand out are drawn as they are."""
    named = [y for t in hunt.trials if t.number in {0, hunt.found} for _, y in t.curve]
    return limits([y for trial in _shown(hunt) for _, y in trial.curve], keep=named)


def limits(values: Iterable[float], keep: Iterable[float] = ()) -> tuple[float, float]:
    """Values to draw: all, unless a few are so far out that no others could be told apart.

    Args:
        values: The values; what is beyond the limits is to be drawn at the edge.
        keep: Those within the limits in any case.

    Example:
        >>> limits([1.0, 2.0, 3.0]), limits([*range(20), 1000.0])
        ((-inf, inf), (-inf, 18))

    """
    ordered = sorted(filter(math.isfinite, values))
    if not ordered:
        return -math.inf, math.inf
    edge = len(ordered) // 10
    inner = sorted(filter(math.isfinite, (ordered[edge], ordered[-1 - edge], *keep)))
    room = (inner[-1] - inner[0]) or math.inf
    low = inner[0] if inner[0] - ordered[0] > room else -math.inf
    high = inner[-1] if ordered[-1] - inner[-1] > room else math.inf
    return low, high


def _time(hunt: SearchReport) -> Markup:
    """Draw one bar of all trials' times, in the order in which they were started."""
    styles = {0: PLAN, hunt.found: FOUND}
    trials = sorted(hunt.trials, key=lambda trial: trial.number)
    parts = [
        Part(
            name=f"{_numbers(together)}, {brief(sum(t.seconds for t in together))}",
            size=sum(trial.seconds for trial in together),
            style=styles.get(together[0].number, OTHER),
        )
        for together in _together(trials, hunt.found)
    ]
    total = sum(part.size for part in parts)
    title = f"{brief(total)} of training in {len(trials)} trials"
    return stacked_bar(parts, whole=total, title=title)


def _together(trials: Sequence[Tried], found: int | None) -> list[list[Tried]]:
    """Group trials in their order; of very many, only those that stand out are alone."""
    if len(trials) <= SHOWN:
        return [[trial] for trial in trials]
    named = {0, found}
    groups = groupby(trials, key=lambda trial: trial.number if trial.number in named else None)
    return [list(together) for _, together in groups]


def _numbers(trials: Sequence[Tried]) -> str:
    first, last = trials[0].number, trials[-1].number
    return f"trial {first}" if first == last else f"trials {first} to {last}"
