"""The confusion matrix as a picture."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from markupsafe import Markup

from tunesmith.report.plots import Point, clip, short, svg

SHOWN = 14  # characters of a class name, at most; half as many if they are wide
FEW = 1000  # from here on a count is rounded to fit its cell


def heat_map(counts: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> Markup:
    """Draw a confusion matrix: right answers blue, wrong ones orange, both by their share.

    Args:
        counts: Number of images, ``[true][predicted]``.
        names: Class names.
        title: Description, for those who cannot see it.
    """
    k = len(names)
    side = 40 if k <= 8 else 34 if k <= 12 else 26 if k <= 20 else 21  # noqa: PLR2004 (sizes seen)
    shown = [_fitting(name) for name in names]
    longest = max(map(_width, shown))
    margin = 30 + 7.2 * longest
    turned = 7.2 * longest > side - 4
    top = 28 + (6 * longest if turned else 14)
    width, height = margin + k * side + (5 * longest if turned else 8), top + k * side + 8
    parts = [
        Markup(
            '<text class="label" x="{:.1f}" y="13" text-anchor="middle">answer</text>'
            '<text class="label" transform="translate(12 {:.1f}) rotate(-90)" '
            'text-anchor="middle">true class</text>'
        ).format(margin + k * side / 2, top + k * side / 2)
    ]
    for i, name in enumerate(shown):
        middle = (i + 0.5) * side
        parts.append(
            Markup('<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
                margin - 7, top + middle + 4, name
            )
        )
        turn = "rotate(-45)" if turned else ""
        parts.append(
            Markup(
                '<text class="name" transform="translate({:.1f} {:.1f}) {}" '
                'text-anchor="{}">{}</text>'
            ).format(margin + middle, top - 7, turn, "start" if turned else "middle", name)
        )
    parts += [
        _cell((margin + j * side, top + i * side), side, _Cell.of(counts, names, i, j))
        for i in range(k)
        for j in range(k)
    ]
    return svg(width, height, title, Markup("").join(parts), kind="heat")


def _width(text: str) -> int:
    """Columns that a text takes: East Asian characters are twice as wide as others.

    Example:
        >>> _width("cat"), _width("猫cat")
        (3, 5)

    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _fitting(name: str) -> str:
    """Shorten a name that is too wide, as `clip` shortens one that is too long.

    Example:
        >>> _fitting("golden retriever"), _fitting("ゴールデンレトリバー")
        ('golden re…ever', 'ゴールデ…バー')

    """
    cut = (clip(name, most) for most in range(SHOWN, 0, -1))
    return next(text for text in cut if _width(text) <= SHOWN)


def _brief(count: int) -> str:
    """Write a count in four characters at most.

    Example:
        >>> [_brief(count) for count in (999, 1234, 9960, 123_456, 999_999)]
        ['999', '1.2k', '10k', '120k', '1M']

    """
    return short(count if count < FEW else float(f"{count:.2g}"))


@final
@dataclass(frozen=True, kw_only=True)
class _Cell:
    count: int
    share: float
    right: bool
    text: str

    @classmethod
    def of(
        cls, counts: Sequence[Sequence[int]], names: Sequence[str], true: int, answer: int
    ) -> Self:
        count, total = counts[true][answer], max(1, sum(counts[true]))
        return cls(
            count=count,
            share=count / total,
            right=true == answer,
            text=f"{names[true]} answered {names[answer]}: {count} of {total}",
        )


def _cell(corner: Point, side: int, cell: _Cell) -> Markup:
    strength = 0.0
    if cell.count:
        # Errors are rare: the square root makes even one in a hundred visible.
        strength = 0.08 + 0.92 * cell.share if cell.right else 0.25 + 0.75 * math.sqrt(cell.share)
    # From here on, text in the color of the paper has more contrast than in that of ink.
    ink = "strong" if strength > (0.75 if cell.right else 0.88) else "weak"
    box = Markup(
        '<rect class="cell" x="{:.1f}" y="{:.1f}" width="{}" height="{}"/>'
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" fill-opacity="{:.2f}">'
        "<title>{}</title></rect>"
    ).format(
        *(corner[0], corner[1], side - 1, side - 1),
        *("right" if cell.right else "wrong", corner[0], corner[1], side - 1, side - 1),
        *(strength, cell.text),
    )
    if not cell.count:
        return box
    return box + Markup(
        '<text class="count {}" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>'
    ).format(ink, corner[0] + (side - 1) / 2, corner[1] + side / 2 + 3.5, _brief(cell.count))
