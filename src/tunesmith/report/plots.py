"""Line charts: from values to SVG by pure functions, styled by the classes in `report.css`.

Every color is a class, so that one picture serves light, dark and print. Every picture says in
words what it shows (``role="img"`` and ``aria-label``), and every name is escaped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from markupsafe import Markup

WIDTH, HEIGHT = 420, 270  # of a chart, in units that are pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 68, 22, 30, 42
LARGEST = 1e100  # nearer to the largest float the arithmetic of axes overflows

Point = tuple[float, float]


@final
@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        name: For the legend; "" for a line that is not in it.
        points: Points (x, y); those that are not finite, or too far out to draw, are left out.
        style: CSS class: ``"a"``, ``"b"``, ``"c"``, ``"ideal"`` or ``"ring"``.
        dots: Whether to mark each point.
        joined: Whether a line joins the points.
    """

    name: str
    points: Sequence[Point]
    style: str = "a"
    dots: bool = False
    joined: bool = True

    def finite(self) -> list[Point]:
        """The points that can be drawn."""
        return [(x, y) for x, y in self.points if abs(x) < LARGEST and abs(y) < LARGEST]


@final
@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a chart.

    Attributes:
        label: What it shows, with its unit.
        low: Start of the axis; None to fit the values.
        high: End of the axis; None to fit the values.
        percent: Whether values are shares, to be written in percent.
        log: Whether the scale is logarithmic; values that are not positive are left out.
    """

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value on the scale; not finite if it has none."""
        if not self.log:
            return value
        return math.log10(value) if value > 0 else math.inf


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Choose round numbers inside an interval.

    Example:
        >>> ticks(0.0, 1.0), ticks(0.93, 0.99, most=4)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.94, 0.96, 0.98])

    """
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round((first + i) * step, digits) for i in range(count)]


def log_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Choose round numbers inside an interval that is given by its logarithms.

    Example:
        >>> log_ticks(-4.0, 0.0), log_ticks(0.0, 1.0)
        ([0.0001, 0.001, 0.01, 0.1, 1.0], [1.0, 2.0, 5.0, 10.0])

    """
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    places = [e + math.log10(m) for e in range(first - 1, last + 1) for m in (1, 2, 5)]
    fine = [place for place in places if low - 1e-9 <= place <= high + 1e-9]
    if len(fine) < 2:  # noqa: PLR2004 (one says nothing of the scale)
        return ticks(10**low, 10**high, most=most)
    step = 1 + (last - first) // most
    chosen = fine if len(fine) <= most else range(first, last + 1, step)
    return [float(f"{10**place:.1g}") for place in chosen]


def short(value: float) -> str:
    """Write a number for an axis, as short as it can be.

    Example:
        >>> short(0.25), short(1500), short(200_000), short(1_500_000)
        ('0.25', '1.5k', '200k', '1.5M')

    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def clip(text: str, most: int) -> str:
    """Shorten a long text in its middle: names in a row often differ only at their end.

    Example:
        >>> clip("golden retriever", 9)
        'golde…ver'

    """
    tail = most // 3
    return text if len(text) <= most else f"{text[: most - tail - 1]}…{text[len(text) - tail :]}"


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Range of an axis, with some padding around values without bounds of their own."""
    low, high = min(values), max(values)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low = low - air if axis.low is None else axis.at(axis.low)
    high = high + air if axis.high is None else axis.at(axis.high)
    if axis.percent:
        low, high = max(0.0, low), min(1.0, high)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def line_chart(
    series: Sequence[Series], *, x: Axis, y: Axis, title: str, shade: Series | None = None
) -> Markup:
    """Draw lines over axes with ticks and labels, and a legend.

    Args:
        series: The lines; those without a point are left out.
        x: Horizontal axis.
        y: Vertical axis.
        title: Description, for those who cannot see it.
        shade: Shares from 0 to 1, drawn as an area behind the lines over the whole height.

    Returns:
        SVG, or "" where there is nothing to draw.
    """
    placed = [replace(s, points=[(x.at(a), y.at(b)) for a, b in s.points]) for s in series]
    drawn = [(s, s.finite()) for s in placed if s.finite()]
    if not drawn:
        return Markup("")
    x_low, x_high = _range(x, [p[0] for _, points in drawn for p in points])
    y_low, y_high = _range(y, [p[1] for _, points in drawn for p in points])
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(point: Point) -> Point:
        across = (point[0] - x_low) / (x_high - x_low)
        up = (point[1] - y_low) / (y_high - y_low)
        return LEFT + inner_width * across, TOP + inner_height * (1 - up)

    parts = [_axes(x, y, (x_low, x_high), (y_low, y_high))]
    if shade and shade.finite():
        over = [(px, y_low + share * (y_high - y_low)) for px, share in shade.finite()]
        edge = [(over[0][0], y_low), *over, (over[-1][0], y_low)]
        parts.append(_polygon([place(p) for p in edge]))
    parts += [_line(s, [place(p) for p in points]) for s, points in drawn]
    parts.append(_legend([s for s, _ in drawn], shade))
    return svg(WIDTH, HEIGHT, title, Markup("").join(parts), kind="chart")


def svg(width: float, height: float, title: str, inside: Markup, *, kind: str) -> Markup:
    """Wrap a picture: its size in its own units, what it shows in words, its CSS class."""
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}" '
        'style="--w:{:g}px">{}</svg>'
    ).format(kind, width, height, title, width, inside)


def _marks(axis: Axis, low: float, high: float, *, most: int) -> list[tuple[float, str]]:
    """Places of an axis's ticks on its scale, with what is written there."""
    values = (log_ticks if axis.log else ticks)(low, high, most=most)
    return [(axis.at(v), f"{100 * v:.4g} %" if axis.percent else short(v)) for v in values]


def _axes(x: Axis, y: Axis, x_range: Point, y_range: Point) -> Markup:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick, text in _marks(y, *y_range, most=5):
        at = bottom - (bottom - TOP) * (tick - y_range[0]) / (y_range[1] - y_range[0])
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(LEFT, right, at, at, LEFT - 6, at + 4, text)
        )
    for tick, text in _marks(x, *x_range, most=6):
        at = LEFT + (right - LEFT) * (tick - x_range[0]) / (x_range[1] - x_range[0])
        parts.append(
            Markup(
                '<line class="axis" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
                '<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
            ).format(at, at, bottom, bottom + 4, at, bottom + 17, text)
        )
    parts.append(
        Markup(
            '<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<text class="label" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
            '<text class="label" transform="translate(11 {:.1f}) rotate(-90)" '
            'text-anchor="middle">{}</text>'
        ).format(
            *(LEFT, right, bottom, bottom, (LEFT + right) / 2, HEIGHT - 7, x.label),
            *((TOP + bottom) / 2, y.label),
        )
    )
    return Markup("").join(parts)


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _polygon(points: Sequence[Point]) -> Markup:
    return Markup('<polygon class="shade" points="{}"/>').format(_path(points))


def _line(series: Series, points: Sequence[Point]) -> Markup:
    parts = []
    if series.joined:
        line = Markup('<polyline class="line {}" points="{}"/>')
        parts.append(line.format(series.style, _path(points)))
    if series.dots or len(points) == 1:
        parts += [_dot(series.style, point) for point in points]
    return Markup("").join(parts)


def _dot(style: str, at: Point) -> Markup:
    return Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(style, *at)


def _legend(series: Sequence[Series], shade: Series | None) -> Markup:
    parts, at = [], float(LEFT)
    for s in (s for s in series if s.name):
        line = Markup('<line class="line {}" x1="{:.1f}" x2="{:.1f}" y1="14" y2="14"/>')
        key = line.format(s.style, at, at + 20) if s.joined else Markup("")
        if s.dots:
            key += _dot(s.style, (at + 10, 14))
        parts.append(key + _legend_text(at, s.name))
        at += 38 + 6.3 * len(s.name)
    if shade:
        key = Markup('<rect class="shade" x="{:.1f}" y="8" width="20" height="12"/>').format(at)
        parts.append(key + _legend_text(at, shade.name))
    return Markup("").join(parts)


def _legend_text(at: float, name: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="18">{}</text>').format(at + 25, name)
