"""The report as one self-contained HTML file: no network, no scripts, no other files."""

import base64
import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from tunesmith.core.words import assigned, brief, duration, megabytes, passes, sides, tally
from tunesmith.evaluation.metrics import wilson
from tunesmith.report import sentences
from tunesmith.report.advice import next_steps
from tunesmith.report.bars import Part, interval_bar, stacked_bar
from tunesmith.report.findings import each_pair_once, sought, unsought
from tunesmith.report.heat_map import heat_map
from tunesmith.report.plots import Axis, Series, clip, line_chart
from tunesmith.report.search_report import hunt_pictures
from tunesmith.report.story import Bin, Story
from tunesmith.report.summary import Summary

DRAWN_CLASSES = 30  # most classes to draw; beyond, the worst pairs of the matrix are listed
THUMBNAIL = 160  # pixels of the longer side, at most
EXACT = 64  # up to this side, thumbnails are lossless
LISTED = 30  # most rows in a list of files
NAME = 36  # characters of a file's name below its thumbnail
STEPS = 6  # most suggestions of next steps
COLORS = 7  # of phases, p0 to p6 in report.css
BOOKED_S = 0.05  # less time than that between phases is not worth a row
RGB, RGBA = 3, 4


def render(story: Story) -> str:
    """Write a report as one self-contained HTML file.

    Names of files and classes are escaped, so that nothing in them is executed; invalid Unicode is
    shown as escape sequences.
    """
    text = template("report.html").render(_context(story))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def template(name: str) -> jinja2.Template:
    """Load a page of this package, with the style and filters that all of them use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tunesmith.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    css = resources.files("tunesmith.report").joinpath("report.css").read_text("utf-8")
    environment.globals["css"] = Markup(css)  # noqa: S704 (ours)
    environment.filters |= {
        "duration": duration,
        "brief": brief,
        "share": lambda part: f"{100 * part:.3g} %",
        "megabytes": megabytes,
        "assigned": assigned,
        "quote": shlex.quote,
        "tally": tally,
        "prose": prose,
        "each_pair_once": each_pair_once,
        "sought": sought,
        "unsought": unsought,
        "clip": lambda name: clip(name, NAME),
        "image": data_uri,
        "image_height": lambda image: image.shape[0],
        "probability": lambda p: sentences.percent(p, n=0),
    }
    return environment.get_template(name)


def prose(text: str) -> Markup:
    r"""Format a sentence: `words in backticks` and options of commands are code, never broken.

    Example:
        >>> print(prose("Train <b> with --metric log_loss, or see\n`tunesmith check`."))
        Train &lt;b&gt; with <code class="whole">--metric</code> log_loss, or see
        <code class="whole">tunesmith check</code>.

    """
    found = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z-]*)")
    marked = found.sub(lambda m: f'<code class="whole">{m[1] or m[2]}</code>', str(escape(text)))
    return Markup(marked)  # noqa: S704 (escaped)


def _context(story: Story) -> dict[str, Any]:
    summary = story.summary
    return {
        "story": story,
        "summary": summary,
        "score": sentences.score_text(summary.score.value, summary.score.metric, n=summary.score.n),
        "sentences": sentences,
        "passes": passes,
        "sides": sides,
        "percent": lambda share: sentences.percent(share, n=summary.score.n),
        "next_steps": list(islice(next_steps(story), STEPS)),
        "rivals": _rivals(summary),
        "loss_chart": _loss_chart(story),
        "accuracy_chart": _accuracy_chart(story),
        "heat_map": _heat_map(summary),
        "confused": sentences.confused(summary),
        "recall": _recall(summary),
        "recall_begin": _recall_begin(summary),
        "ledger_bar": _ledger_bar(summary),
        "ledger": _ledger(summary),
        "reliability": _reliability(story.before, story.after),
        "listed": LISTED,
        "hunt": hunt_pictures(story.hunt) if story.hunt else None,
    }


def data_uri(image: NDArray[np.uint8], most: int = THUMBNAIL) -> str:
    """Encode an image as part of the page itself.

    Args:
        image: uint8 ``(H, W)`` or ``(H, W, C)``; C is 1, 3 (RGB) or 4 (RGB and alpha).
        most: Larger images are shrunk until their longer side has so many pixels.

    Returns:
        A ``data:`` address: lossless PNG for small images, WebP for others.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer > most:
        size = (max(1, width * most // longer), max(1, height * most // longer))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if image.ndim == RGB and image.shape[2] >= RGB:
        code = cv2.COLOR_RGB2BGR if image.shape[2] == RGB else cv2.COLOR_RGBA2BGRA
        image = np.asarray(cv2.cvtColor(image, code), np.uint8)
    if longer <= EXACT:
        kind, encoded = "png", cv2.imencode(".png", image)[1]
    else:
        kind, encoded = "webp", cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 82])[1]
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _rivals(summary: Summary) -> list[dict[str, Any]]:
    """Make the rows of the comparison with the baselines, all by accuracy; ours is the last."""
    own, n = summary.evaluation, summary.score.n
    low, high = wilson(n - sentences.mistakes(own.accuracy, n), n)
    rows = [(name, value, value, value) for name, value in sentences.baselines(summary)]
    return [
        {
            "name": name,
            "value": value,
            "bar": interval_bar(value, low, high, filled=True),
        }
        for name, value, low, high in [*rows, ("This model", own.accuracy, low, high)]
    ]


def _validated(story: Story) -> str:
    """Name the images of the dots; if none are held out, another network is asked about a fold."""
    return "validation" if story.summary.data.counts.validation else "first fold"


def _loss_chart(story: Story) -> Markup:
    return line_chart(
        [
            Series(name="training", points=[(p.examples, p.loss) for p in story.curve], style="b"),
            Series(
                name=_validated(story),
                points=[(p.examples, p.log_loss) for p in story.validation],
                dots=True,
            ),
        ],
        x=Axis(label="images seen", low=0),
        y=Axis(label="loss"),
        title="Loss on training and validation images against images seen",
        shade=Series(name="learning rate", points=[(p.examples, p.rate) for p in story.curve]),
    )


def _accuracy_chart(story: Story) -> Markup:
    points = [(float(p.examples), p.accuracy) for p in story.validation]
    return line_chart(
        [Series(name=f"{_validated(story)} accuracy", points=points, dots=True)],
        x=Axis(
            label="images seen", low=0, high=max((p.examples for p in story.curve), default=None)
        ),
        y=Axis(label="accuracy", percent=True),
        title="Accuracy on validation images against images seen",
    )


def _heat_map(summary: Summary) -> Markup:
    names = summary.data.classes
    if len(names) > DRAWN_CLASSES:
        return Markup("")
    return heat_map(
        summary.evaluation.confusion,
        names,
        title=f"Confusion matrix of {len(names)} classes; the worst pairs are listed beside",
    )


def _recall_begin(summary: Summary) -> float:
    lows = [low for low, _ in summary.evaluation.recall_interval]
    return min(0.9, int(10 * min(lows, default=0.0)) / 10)


def _recall(summary: Summary) -> list[dict[str, Any]]:
    """Make the rows of the recall of each class, lowest first."""
    evaluation, begin = summary.evaluation, _recall_begin(summary)
    rows = [
        {
            "name": name,
            "count": sum(counts),
            "recall": recall,
            "low": low,
            "high": high,
            "bar": interval_bar(recall, low, high, begin=begin),
        }
        for name, counts, recall, (low, high) in zip(
            summary.data.classes,
            evaluation.confusion,
            evaluation.recall,
            evaluation.recall_interval,
            strict=True,
        )
        if recall is not None
    ]
    return sorted(rows, key=lambda row: row["recall"])


def _ledger(summary: Summary) -> list[Part]:
    """List phases and their seconds; time that belongs to no phase is a row of its own.

    The longest phases get the most distinct colors; short ones share a gray.
    """
    rows = [(name, seconds) for name, seconds in summary.phases.items() if seconds > 0]
    other = summary.wall_s - sum(seconds for _, seconds in rows)
    if other > BOOKED_S:
        rows.append(("in between", other))
    longest = sorted(range(len(rows)), key=lambda i: -rows[i][1])
    style = {row: f"p{min(rank, COLORS - 1)}" for rank, row in enumerate(longest)}
    return [Part(name=n, size=s, style=style[i]) for i, (n, s) in enumerate(rows)]


def _ledger_bar(summary: Summary) -> Markup:
    parts = _ledger(summary)
    return stacked_bar(
        parts,
        whole=max(summary.budget_s, summary.wall_s),
        title=", ".join(f"{part.name} {duration(part.size)}" for part in parts),
    )


def _reliability(before: Sequence[Bin], after: Sequence[Bin]) -> Markup:
    def points(bins: Iterable[Bin]) -> list[tuple[float, float]]:
        return [(b.confidence, b.accuracy) for b in bins]

    if not before and not after:
        return Markup("")
    low = min(v for b in (*before, *after) for v in (b.confidence, b.accuracy))
    low = min(0.9, int(10 * low) / 10)
    return line_chart(
        [
            Series(name="ideal", points=[(low, low), (1, 1)], style="ideal"),
            Series(name="before", points=points(before), style="b", dots=True),
            Series(name="after", points=points(after), dots=True),
        ],
        x=Axis(label="how sure the model was", low=low, high=1, percent=True),
        y=Axis(label="how often it was right", low=low, high=1, percent=True),
        title="How often answers were right against how sure the model was",
    )
