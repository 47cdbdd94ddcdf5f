"""The data gate alone: look at labeled images, say what is wrong, change nothing.

Read `_look` from top to bottom: it is the job.
"""

import contextlib
import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.clock import Clock
from tunesmith.core.errors import RunFolderError
from tunesmith.core.pixels import squeeze
from tunesmith.data.decode import Sample, load, sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.source import Source
from tunesmith.evaluation.baselines import coarse
from tunesmith.execution.machine import measure as measure_machine
from tunesmith.execution.machine import versions
from tunesmith.jobs import alike as same
from tunesmith.jobs import findings as found
from tunesmith.jobs.fetch import open_data
from tunesmith.records.folder import write_atomic, writing
from tunesmith.report.check_page import render
from tunesmith.report.findings import Checked, Finding, quarantine_rows, to_json
from tunesmith.report.terminal import Terminal
from tunesmith.screening.looks import measure
from tunesmith.screening.shift import find_shift
from tunesmith.screening.shortcuts import find_shortcuts

LARGEST = 64  # pixels of the longer side at which images are looked at
SAMPLED = 1000  # images that this is decided by
PER_PART = 5000  # images of a part that a classifier is asked to tell from the other part's
# A clue -> the area under the ROC curve that it may reach before a model can cheat by it: what a
# program writes should tell nothing, while what shows at the border depends on the motif as well.
CLUES = {"ending of the name": 0.6, "size in pixels": 0.75, "color of the border": 0.98}
ORDER = ("serious", "doubtful", "notable")
PAGE, DATA, QUARANTINE = "check.html", "check.json", "quarantine.csv"


@final
@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check hands over.

    Attributes:
        folder: Where page, data and quarantine lie.
        checked: What was found.
    """

    folder: Path
    checked: Checked

    @property
    def report(self) -> Path:
        """The page for people, one self-contained HTML file."""
        return self.folder / PAGE


def check(
    source: Any,
    *,
    test: Any = None,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    progress: bool = True,
    to_stderr: bool = False,
) -> CheckResult:
    """Look at labeled images and say what is wrong with them; nothing is changed.

    Args:
        source: The data; see `tunesmith.fit`.
        test: A test part of the same kind, where ``source`` has none of its own.
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
        checked = _look(data, folder, clock, shown)
    listed = _quarantine(checked)
    write_atomic(folder / QUARANTINE, listed)
    write_atomic(folder / DATA, to_json(checked, quarantine_sha256=_hash(listed)))
    write_atomic(folder / PAGE, render(checked))
    return CheckResult(folder=folder, checked=checked)


def _look(source: Source, folder: Path, clock: Clock, shown: Terminal) -> Checked:
    @contextlib.contextmanager
    def phase(name: str) -> Iterator[None]:
        shown.phase(name, clock.elapsed())
        with clock.phase(name):
            yield

    with phase("decode"):
        data = _decode(source, folder)
    with phase("look for copies"):
        alike = same.find_alike(data.loaded.pixels, data.labels)
    with phase("look at each image"):
        looks = measure(data.loaded.pixels, data.loaded.shapes)
    with phase("compare parts and classes"):
        shift = find_shift(*_described(data, looks)) if data.tested.any() else None
        clues = find_shortcuts(_clues(data), data.labels, len(source.classes), allowed=CLUES)
    said = [
        found.unreadable(data),
        same.leaks(data, alike),
        *found.shortcuts(data, clues, looked_at=tuple(CLUES)),
        same.conflicts(data, alike),
        found.shifted(shift),
        found.odd(data, looks),
        same.copies(data, alike),
        found.uneven(data),
    ]
    findings = [each for each in said if isinstance(each, Finding)]
    return Checked(
        title=source.name,
        images=len(source.names),
        classes=found.classes(data, looks),
        findings=sorted(findings, key=lambda each: ORDER.index(each.weight)),
        fine=[each for each in said if isinstance(each, str)],
        skipped=source.skipped,
        seconds=clock.phases,
        versions=versions(),
    )


def _decode(source: Source, folder: Path) -> found.Data:
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
    return found.Data(source=source, loaded=loaded)


def _size(some: Sample) -> tuple[int, int]:
    """Height and width at which images are looked at: their own, where all are small and alike."""
    height, width = some.shapes[:, :2].max(axis=0).tolist()
    if max(height, width) <= LARGEST and (some.shapes[:, :2] == (height, width)).all():
        return height, width
    side = int(np.clip(np.median(some.shapes[:, :2].min(axis=1)), 8, LARGEST))
    return side, side


def _described(
    data: found.Data, looks: Mapping[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Some images of both parts in numbers, ``[N, D]``, and whether each is of the test part."""
    chance = np.random.default_rng(0)
    parts = [np.flatnonzero(data.tested == is_tested) for is_tested in (False, True)]
    rows = np.concatenate([np.sort(chance.permutation(part)[:PER_PART]) for part in parts])
    numbers = np.stack([values[rows] for values in looks.values()], axis=1)
    pixels = coarse(data.loaded.pixels, rows, side=8)
    return np.concatenate([pixels, numbers], axis=1), data.tested[rows]


def _clues(data: found.Data) -> dict[str, NDArray[Any]]:
    """What tells of where an image comes from rather than of what it shows."""
    names, pixels = data.source.names, data.loaded.pixels
    sizes = [f"{width} x {height}" for height, width in data.loaded.shapes]
    border = np.concatenate(
        [pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1
    )
    return {
        "ending of the name": np.array([Path(names[i]).suffix.lower() for i in data.loaded.kept]),
        "size in pixels": np.array(sizes),
        "color of the border": border.mean(axis=1),
    }


def _quarantine(checked: Checked) -> str:
    """The images to leave out, as a CSV file that a person can edit."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "label", "kind", "reason"])
    rows.writerows(quarantine_rows(checked.findings))
    return text.getvalue()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _refuse_to_overwrite(folder: Path) -> None:
    """Keep a quarantine.csv that a person has edited.

    Raises:
        RunFolderError: There is one.
    """
    with contextlib.suppress(OSError, ValueError, KeyError):
        written = json.loads((folder / DATA).read_text("utf-8"))["quarantine_sha256"]
        if _hash((folder / QUARANTINE).read_text("utf-8", "surrogateescape")) != written:
            raise RunFolderError(
                f"{folder / QUARANTINE} has been edited since the last check, and would be "
                "overwritten. Move it elsewhere, or pass another --out."
            )
