"""Open what the user points at; a data set known by name is downloaded if it is nowhere."""

import sys
import time
from collections.abc import Iterator, Mapping
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

SHOWN_EVERY_S = 0.2  # on a terminal, where a line is written over
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
    """Open data and, if it is given, a test part, without what is in quarantine; see `open_source`.

    Raises:
        SourceError: They cannot be downloaded or opened.
        SettingsError: The download took longer than the budget.
    """
    for each in (source, test):
        fetch(each, clock=clock, quiet=quiet)
    return open_source(source, test=test, columns=columns, quarantine=quarantine)


def fetch(source: Any, *, clock: Clock, quiet: bool) -> None:
    """Download a source that is known by name and nowhere on this machine.

    How far it is, standard error tells.

    Raises:
        SourceError: No mirror serves it, or there is no room for it.
        SettingsError: It took longer than the budget.
    """
    total = sum(remote.size for remote in lacking(source))
    stream = CarefulStream(None if quiet else sys.stderr)
    begin, end, every_s = (
        ("\r", "", SHOWN_EVERY_S) if stream.isatty() else ("", "\n", PLAIN_EVERY_S)
    )
    shown = float("-inf")
    for done in _fetched(source):
        if time.monotonic() - shown >= every_s or done == total:
            shown = time.monotonic()
            stream.write(f"{begin}fetching {source}: {megabytes(done)} of {megabytes(total)}{end}")
            stream.flush()
    if total and not end:
        stream.write("\n")
    if total and clock.left() < 0:
        raise SettingsError(
            f"Fetching {source} has used up the budget of {duration(clock.budget)}. It is kept, so "
            "run the same command again."
        )


def _fetched(source: Any) -> Iterator[int]:
    """Download; yields the bytes that are there of all files together."""
    before = 0
    for remote in lacking(source):
        for done in download(remote, cache(source)):
            yield before + done
        before += remote.size
