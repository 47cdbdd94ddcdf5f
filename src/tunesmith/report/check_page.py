"""The report of a check, as one self-contained HTML file."""

from typing import Any

from tunesmith.report.findings import Checked, quarantine_rows, unsought
from tunesmith.report.html import template


def render(checked: Checked, list_path: str) -> str:
    """Render the page. Names are escaped, so that nothing in them is executed.

    Args:
        checked: Results of the check.
        list_path: Path of the list of images to leave out, as the user would name it.
    """
    text = template("check.html").render(_context(checked) | {"list_path": list_path})
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def headline(checked: Checked) -> str:
    """Summarize the state of the data in a few words.

    Example:
        >>> headline(Checked(title="x", images=1, classes=(), findings=(), fine=(), skipped={},
        ...     seconds={}, versions={}))
        'Nothing wrong was found'

    """
    counts = {
        weight: sum(f.weight == weight for f in checked.findings)
        for weight in ("serious", "doubtful")
    }
    if counts["serious"]:
        return _things(counts["serious"], "serious problem")
    if counts["doubtful"]:
        return _things(counts["doubtful"], "thing") + " to look at"
    where = " in what was looked at" if unsought(checked.fine) else ""
    to_know = f"; {_things(len(checked.findings), 'thing')} to know" if checked.findings else ""
    return f"Nothing wrong was found{where}{to_know}"


def _things(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _context(checked: Checked) -> dict[str, Any]:
    parts = list(next(iter(c.counts for c in checked.classes), {}))
    return {
        "checked": checked,
        "headline": headline(checked),
        "is_listed": any(quarantine_rows(checked.findings, suspects=True)),
        "stops": [finding for finding in checked.findings if finding.stops],
        "parts": [p for p in parts if any(c.counts[p] for c in checked.classes)],
        "looks": list(next(iter(c.looks for c in checked.classes), {})),
        "networks": list(next(iter(c.apart for c in checked.classes), {})),
        "total_s": sum(checked.seconds.values()),
    }
