"""What of the data is not learned from: files that cannot be read, rows without a label."""

from tunesmith.core.words import counted, tally
from tunesmith.data.clean import MOST_BAD
from tunesmith.data.folders import NOT_READ
from tunesmith.data.source import Source
from tunesmith.data.tables import NO_LABEL, NO_PATH
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding, Item

WANTED = (NO_LABEL, NO_PATH, NOT_READ)  # what is left aside, although it seems meant to be learned


def missing(source: Source) -> Finding | None:
    """Report rows and files that seem to be meant as labeled images, but are none."""
    found = {kind: count for kind, count in source.skipped.items() if kind in WANTED}
    if not found:
        return None
    return Finding(
        kind="missing",
        weight="doubtful",
        title=f"{tally(found)} {'is' if sum(found.values()) == 1 else 'are'} left aside",
        meaning="Nothing is learned from them. Fill in what is missing, or convert the files.",
    )


def unreadable(data: Data) -> Finding | str:
    """Report files that cannot be decoded."""
    source, rejected = data.source, data.loaded.rejected
    if not rejected:
        return "Files that cannot be read: every one could be decoded."
    share = len(rejected) / len(source.names)
    stops = (
        f" That is more than {100 * MOST_BAD:.0f} % of all: training stops until they are mended."
        if share > MOST_BAD
        else ""
    )
    return Finding(
        kind="unreadable",
        weight="serious" if stops else "doubtful",
        title=f"{counted(len(rejected), 'file')} cannot be read",
        meaning=f"They are left out, never replaced by something else.{stops}",
        items=[
            Item(file=bad.name, label=source.classes[source.labels[bad.index]], note=bad.reason)
            for bad in rejected
        ],
        is_left_out=True,
    )
