"""The data gate alone: look at labeled images, say what is wrong, change nothing.

Read `_look` from top to bottom: it is the job.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from tunesmith.core.clock import Clock
from tunesmith.core.errors import RunFolderError
from tunesmith.core.pixels import squeeze
from tunesmith.data import quarantine
from tunesmith.data.decode import Sample, load, sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.source import Source
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.execution.machine import versions
from tunesmith.jobs.alike import Depth
from tunesmith.jobs.fetch import open_data
from tunesmith.jobs.findings import Data
from tunesmith.jobs.gate import gate
from tunesmith.records.folder import write_atomic, writing
from tunesmith.report.check_page import render
from tunesmith.report.findings import Checked, Tried, quarantine_rows, to_json
from tunesmith.report.terminal import Terminal

if TYPE_CHECKING:
    from tunesmith.jobs.doors import Door

LARGEST = 64  # pixels of the longer side at which images are looked at
SAMPLED = 1000  # images that this is decided by
PAGE, RECORD = "check.html", "check.json"


@final
@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check hands over.

    Attributes:
        folder: Where page, data and quarantine lie.
        checked: What was found.
        doors: Patterns that may be triggers of a backdoor, ready to be tried on more models.
    """

    folder: Path
    checked: Checked
    doors: Sequence["Door"]

    @property
    def report(self) -> Path:
        """The page for people, one self-contained HTML file."""
        return self.folder / PAGE

    @property
    def quarantine(self) -> Path:
        """The list of images that should be left out."""
        return self.folder / quarantine.FILE


def check(
    source: Any,
    *,
    test: Any = None,
    deep: bool = False,
    model: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    progress: bool = True,
    to_stderr: bool = False,
) -> CheckResult:
    """Look at labeled images and say what is wrong with them; nothing is changed.

    Args:
        source: The data; see `tunesmith.fit`.
        test: A test part of the same kind, where ``source`` has none of its own.
        deep: Also look for backdoors, and with a pretrained network at what is in the images:
            minutes, not seconds.
        model: Runs or bundles that were trained on these data. A deep look asks them too, and tries
            on them what patterns it found.
        out: Where the page is written; by default ``checks/NAME``.
        columns: Names of a table's columns by their use.
        progress: Show progress on the terminal.
        to_stderr: Show it on standard error, since standard output is for programs.

    Returns:
        What was found, and where the page lies.

    Raises:
        UserError: The data cannot be opened, or the folder cannot be written.
    """
    clock = Clock(budget=math.inf)
    with clock.phase("open the data"):
        data = open_data(source, test, columns or {}, clock=clock, quiet=not progress)
    folder = Path(out) if out is not None else Path("checks") / data.name
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _refuse_to_overwrite(folder)
    log = folder / "check.log"
    with Terminal(budget=math.inf, log_path=log, quiet=not progress, to_stderr=to_stderr) as shown:
        models = [model] if isinstance(model, str | Path) else model
        result = _look(data, folder, clock, shown, deep=deep, models=models)
    write(result)
    return result


def write(result: CheckResult) -> None:
    """Write the page, the record for programs, and the list of images to leave out."""
    listed = quarantine.to_csv(quarantine_rows(result.checked.findings, suspects=True))
    write_atomic(result.quarantine, listed)
    record = to_json(result.checked, quarantine_sha256=_hash(listed))
    write_atomic(result.folder / RECORD, record)
    write_atomic(result.report, render(result.checked))


def _look(
    source: Source,
    folder: Path,
    clock: Clock,
    shown: Terminal,
    *,
    deep: bool,
    models: Sequence[str | Path],
) -> CheckResult:
    @contextlib.contextmanager
    def phase(name: str) -> Iterator[None]:
        shown.phase(name, clock.elapsed())
        with clock.phase(name):
            yield

    with phase("decode"):
        data = decode_all(source, folder)
    gated = gate(data, Depth.WHOLE, phase)
    doors: Sequence[Door] = ()
    tried: Sequence[Tried] = ()
    if deep or models:
        from tunesmith.jobs.deep import look_deeper  # torch, for those who ask for it

        deeper = look_deeper(data, gated.alike, models, phase)
        gated, doors, tried = deeper.added_to(gated), deeper.doors, deeper.tried
    checked = Checked(
        title=source.name,
        images=len(source.names),
        classes=gated.classes,
        findings=gated.findings,
        fine=gated.fine,
        skipped=source.skipped,
        seconds=clock.phases,
        versions=versions(),
        tried=tried,
    )
    return CheckResult(folder=folder, checked=checked, doors=doors)


def decode_all(source: Source, folder: Path) -> Data:
    """Decode all images, small: what is looked at here need not be what a network will read."""
    machine = measure_machine(folder)
    some = sample(source, count=SAMPLED, seed=0, threads=machine.cores)
    loaded = load(
        source,
        channels=fingerprint(source, some).channels,
        size=_size(some),
        resize=squeeze,
        threads=machine.cores,
        memory_bound=machine.memory_bytes // 4,
        folder=folder,
    )
    return Data(source=source, loaded=loaded)


def _size(some: Sample) -> tuple[int, int]:
    """Height and width at which images are looked at: their own, where all are small and alike."""
    height, width = some.shapes[:, :2].max(axis=0).tolist()
    if max(height, width) <= LARGEST and (some.shapes[:, :2] == (height, width)).all():
        return height, width
    side = int(np.clip(np.median(some.shapes[:, :2].min(axis=1)), 8, LARGEST))
    return side, side


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _refuse_to_overwrite(folder: Path) -> None:
    """Keep a quarantine.csv that a person has edited.

    Raises:
        RunFolderError: There is one.
    """
    with contextlib.suppress(OSError, ValueError, KeyError):
        written = json.loads((folder / RECORD).read_text("utf-8"))["quarantine_sha256"]
        if _hash((folder / quarantine.FILE).read_text("utf-8", "surrogateescape")) != written:
            raise RunFolderError(
                f"{folder / quarantine.FILE} has been edited since the last check, and would be "
                "overwritten. Move it elsewhere, or pass another --out."
            )
