"""Open the user's data source; a named data set is downloaded unless it is on this machine."""

import contextlib
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.words import duration, megabytes
from tunesmith.data.builtin import cache, lacking
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.jobs.download import download
from tunesmith.report.streams import CarefulStream

SHOWN_EVERY_S = 0.2  # on a terminal, where the line is overwritten
PLAIN_EVERY_S = 5.0


def open_data(
    source: Any,
    test: Any,
    columns: Mapping[str, str],
    *,
    quarantine: Path | None = None,
    clock: Clock,
    quiet: bool = False,
) -> Source:
    """Open a data source and an optional test set, without quarantined images; see `open_source`.

    Raises:
        SourceError: The data cannot be downloaded or opened.
        SettingsError: The download took longer than the budget.
    """
    for each in (source, test):
        fetch(each, clock=clock, quiet=quiet)
    return open_source(source, test=test, columns=columns, quarantine=quarantine)


def fetch(source: Any, *, clock: Clock, quiet: bool) -> None:
    """Download a named data set, unless it is on this machine.

    Progress goes to standard error. At the end of the budget, the download stops; what has arrived
    is kept.

    Raises:
        SourceError: No mirror serves it, or there is no disk space for it.
        SettingsError: It takes longer than the budget.
    """
    total = sum(remote.size for remote in lacking(source))
    stream = CarefulStream(None if quiet else sys.stderr)
    begin, end, every_s = (
        ("\r", "", SHOWN_EVERY_S) if stream.isatty() else ("", "\n", PLAIN_EVERY_S)
    )
    shown = float("-inf")
    # Closed at once, also after an error, since a download locks its folder.
    with contextlib.closing(_fetched(source)) as steps:
        for done in steps:
            so_far = f"{megabytes(done)} of {megabytes(total)}"
            if time.monotonic() - shown >= every_s or done == total:
                shown = time.monotonic()
                stream.write(f"{begin}fetching {source}: {so_far}{end}")
                stream.flush()
            if done < total and clock.left() < 0:
                stream.write("" if end else "\n")
                raise _late(source, f"{so_far} are there, and kept", clock)
    if total and not end:
        stream.write("\n")
    if total and clock.left() < 0:
        raise _late(source, "It is kept", clock)


def _late(source: Any, kept: str, clock: Clock) -> SettingsError:
    """Make the error for a download that takes too long."""
    return SettingsError(
        f"Fetching {source} has used up the budget of {duration(clock.budget)}. {kept}, so run the "
        "same command again: it goes on from there."
    )


def _fetched(source: Any) -> Generator[int, None, None]:
    """Download all files; yield the total number of bytes so far."""
    before = 0
    for remote in lacking(source):
        for done in download(remote, cache(source)):
            yield before + done
        before += remote.size
