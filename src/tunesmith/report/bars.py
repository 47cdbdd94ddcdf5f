"""Bars: parts of a whole, and shares with their intervals, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a stacked bar: its name, its size and its CSS class."""

    name: str
    size: float
    style: str


def stacked_bar(parts: Sequence[Part], *, whole: float, title: str) -> Markup:
    """Draw parts of a whole as one bar; what is left of the whole stays empty.

    Args:
        parts: Parts, from left to right.
        whole: Size of the whole bar; the sum of the parts, if that is more.
        title: Description, for those who cannot see it.
    """
    whole = max(whole, sum(part.size for part in parts)) or 1.0
    at, inside = 0.0, Markup("")
    for part in parts:
        width = 1000 * part.size / whole
        inside += Markup(
            '<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="30"><title>{}</title></rect>'
        ).format(part.style, at, max(0.0, width - 1), part.name)
        at += width
    return Markup(
        '<svg class="stack" viewBox="0 0 1000 30" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><rect class="rest" x="0" y="0" width="1000" height="30"/>{}</svg>'
    ).format(title, inside)


def interval_bar(
    value: float, low: float, high: float, *, begin: float = 0.0, filled: bool = False
) -> Markup:
    """Draw a share with its interval on an axis from ``begin`` to 1, for a table's cell.

    Args:
        value: The share.
        low: Lower bound; equal to ``value`` for a share without an interval.
        high: Upper bound.
        begin: Where the axis begins. A filled bar is honest only from 0.
        filled: Draw a bar from ``begin`` to ``value``, not a mark at ``value``.
    """

    def at(share: float) -> float:
        return 100 * min(1.0, max(0.0, (share - begin) / (1 - begin)))

    inside = Markup("")
    if filled:
        inside += Markup('<rect class="fill" x="0" y="2" width="{:.2f}" height="8"/>').format(
            at(value)
        )
    if high > low:
        inside += Markup('<line class="whisker" x1="{:.2f}" x2="{:.2f}" y1="6" y2="6"/>').format(
            at(low), at(high)
        )
    if not filled:
        inside += Markup('<line class="mark" x1="{0:.2f}" x2="{0:.2f}" y1="1" y2="11"/>').format(
            at(value)
        )
    return Markup(
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="grid" x1="0" x2="100" y1="6" y2="6"/>{}</svg>'
    ).format(inside)
