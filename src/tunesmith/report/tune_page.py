"""The report of a search over a user's own training function, as one self-contained HTML file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from markupsafe import Markup

from tunesmith.report.html import LISTED, NAME, template
from tunesmith.report.plots import Axis, clip, line_chart
from tunesmith.report.search_report import hunt_pictures, limits, rings, series
from tunesmith.report.story import SearchReport

CLOSER = 10  # best trials whose curves are drawn on an axis of their own
DOTS = 1000  # trials to draw by their settings, the best ones
LEVEL = 0.5  # share of a training after which curves have become level


@final
@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Values of trials by one of their settings.

    Attributes:
        name: Name of the setting.
        points: By the number of a trial: its setting, and its value after equal training.
        log: Whether the setting was tried on a logarithmic scale.
    """

    name: str
    points: Mapping[int, tuple[float, float]]
    log: bool


@final
@dataclass(frozen=True, kw_only=True)
class TunePage:
    """The content of the page.

    Attributes:
        title: Name of the function.
        value: Value of the best trial.
        trained: How long it was trained, and what the defaults have, in words.
        said: Why this trial was chosen, and what to know of it, one sentence each.
        config: Its settings: (name, value, default).
        checkpoint: Folder with the state of its training.
        version: Version of Tunesmith.
        hunt: What was tried.
        clouds: Trials by a setting that mattered, the most important first.
    """

    title: str
    value: float
    trained: str
    said: Sequence[str]
    config: Sequence[tuple[str, str, str]]
    checkpoint: str
    version: str
    hunt: SearchReport
    clouds: Sequence[Cloud] = ()


def render(page: TunePage) -> str:
    """Render the page. Names are escaped, so that nothing in them is executed."""
    context: dict[str, Any] = {
        "page": page,
        "hunt": hunt_pictures(page.hunt),
        "closer": _closer(page.hunt),
        "clouds": [_cloud(cloud, page.hunt) for cloud in page.clouds],
        "listed": LISTED,
        "short": "{:.4g}".format,
    }
    text = template("tune.html").render(context)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _closer(hunt: SearchReport) -> Markup:
    """Draw the curves of the best trials where they are level, to tell them apart."""
    best = hunt.trials[:CLOSER]
    level = [y for t in best for x, y in t.curve if x >= LEVEL and math.isfinite(y)]
    if len(hunt.trials) <= CLOSER or not level:
        return Markup("")
    low, high = min(level), max(level)
    lines = [(t.number, [(x, y) for x, y in t.curve if low <= y <= high]) for t in best]
    resumed = [(x, y) for t in best for x, y in t.resumed if low <= y <= high]
    drawn = [series(n, points, hunt, dots=len(points) == 1) for n, points in reversed(lines)]
    return line_chart(
        [*drawn, rings(resumed)],
        x=Axis(label="share of a whole training", low=0, high=1, percent=True),
        y=Axis(label=f"{hunt.metric} of the best {CLOSER}"),
        title=f"{hunt.metric} of the best {CLOSER} trials against their training, closer",
    )


def _cloud(cloud: Cloud, hunt: SearchReport) -> Markup:
    """Draw a dot for each trial; a few that are far out lie at the edge."""
    low, high = limits([y for _, y in cloud.points.values()])
    numbers = [t.number for t in hunt.trials[:DOTS] if t.number in cloud.points]
    shown = [(n, cloud.points[n]) for n in sorted(numbers, key=lambda n: n in {0, hunt.found})]
    return line_chart(
        [
            series(number, [(x, min(high, max(low, y)))], hunt, dots=True)
            for number, (x, y) in shown
        ],
        x=Axis(label=clip(cloud.name, NAME), log=cloud.log),
        y=Axis(label=hunt.metric),
        title=f"{hunt.metric} of {len(shown)} trials against {cloud.name}",
    )
