"""The data gate alone: inspect labeled images, report what is wrong, change nothing.

Read `_look` from top to bottom: it is the job.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.clock import Clock
from tunesmith.core.cores import cores
from tunesmith.core.errors import RunFolderError
from tunesmith.core.files import expanded
from tunesmith.core.words import assigned
from tunesmith.data import quarantine
from tunesmith.data.source import Source
from tunesmith.execution.machine import versions
from tunesmith.jobs.fetch import open_data
from tunesmith.jobs.gate.alike import Depth, Places, Search
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.gate import Gated, Phase, gate
from tunesmith.jobs.gate.look import look, recipe
from tunesmith.records.cache import FILE as CACHE
from tunesmith.records.cache import Cache
from tunesmith.records.editable import memory_of, refuse_edited, write_editable
from tunesmith.records.folder import IDENTITY, write_atomic, writing
from tunesmith.report.check_page import render
from tunesmith.report.findings import Checked, Tried, quarantine_rows, to_json
from tunesmith.report.terminal import Terminal
from tunesmith.screening.copies import find_copies, find_mirrored

if TYPE_CHECKING:
    from tunesmith.jobs.deep.trying import Backdoor

PAGE, RECORD, LOG = "check.html", "check.json", "check.log"
MIRRORED_MOST = 20_000  # images among which mirrored copies are looked for without ``deep``
NO_MIRRORED = "Mirrored copies: not looked for among so many images, except by --deep."
MARKS = {"serious": "!", "doubtful": "?", "notable": "i"}


@final
@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Result of a check.

    Attributes:
        folder: Folder of the report, the JSON record and the quarantine list.
        checked: Findings of the check.
        backdoors: Patterns that may be triggers of a backdoor, ready to be tried on further models.
    """

    folder: Path
    checked: Checked
    backdoors: Sequence["Backdoor"]

    @property
    def report(self) -> Path:
        """Path of the report, one self-contained HTML file."""
        return self.folder / PAGE

    @property
    def quarantine(self) -> Path:
        """Path of the list of images that should be left out."""
        return self.folder / quarantine.FILE

    def as_json(self) -> str:
        """Return the result as JSON, in ASCII, which any output can encode."""
        return json.dumps(json.loads(to_json(self.checked)), indent=1)

    def words(self) -> str:
        """Summarize the findings, one line each, and name the paths of report and list."""
        found = [f"{MARKS[finding.weight]}  {finding.title}" for finding in self.checked.findings]
        tried = [
            f"   {name}: works on {100 * share:.1f} % of {each.images:,} images"
            for each in self.checked.tried
            for name, share in each.success.items()
        ]
        places = [f"report  {self.report}", f"list    {self.quarantine}"]
        return "\n".join([*found, *tried, *places])


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
    """Inspect labeled images and report what is wrong with them; nothing is changed.

    Results are cached in the folder: an interrupted check resumes, and a check of changed data
    inspects only what is new.

    Args:
        source: The data; see `tunesmith.fit`.
        test: Test set in the same format, if ``source`` has none of its own.
        deep: Also look for backdoors, and analyze the images with a pretrained network; takes
            minutes.
        model: Runs or bundles that were trained on these data. A deep check also uses their
            features, and tries on them the patterns that it found.
        out: Output folder; by default ``checks/NAME``.
        columns: Names of a table's columns, by use.
        progress: Show progress on the terminal.
        to_stderr: Show progress on standard error, and keep standard output for programs.

    Returns:
        The findings, and the path of the report.

    Raises:
        UserError: The data cannot be opened, a model has other classes, the folder cannot be
            written, is in the data or holds something else, or its quarantine.csv was edited.
    """
    clock = Clock(budget=math.inf)
    with clock.phase("open the data"):
        data = open_data(source, test, columns or {}, clock=clock, quiet=not progress)
    models = [model] if isinstance(model, str | Path) else model
    if models:
        from tunesmith.jobs.deep.deep import refuse_misfits  # imports torch only if needed

        refuse_misfits(models, data.classes)
    folder = expanded(out) if out is not None else Path("checks") / data.name
    refuse_others(folder, (source, test))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    log = folder / LOG
    with (
        Terminal(budget=math.inf, log_path=log, quiet=not progress, to_stderr=to_stderr) as shown,
        Cache(folder / CACHE) as cache,
    ):
        if data.columns:
            shown.say(f"columns: {assigned(data.columns)}")
        result = _look(data, folder, cache, clock, shown, deep=deep, models=models)
        cache.finish()
        if cache.trouble:
            shown.say(f"{folder / CACHE} is of no use, so nothing was kept: {cache.trouble}.")
    write(result)
    rows = quarantine_rows(result.checked.findings, suspects=True)
    write_editable(result.quarantine, quarantine.to_csv(rows))
    return result


def refuse_others(folder: Path, sources: Sequence[Any]) -> None:
    """Refuse an output folder in which this job would overwrite or change what is not its own.

    Args:
        folder: Folder of the check; it need not exist.
        sources: The data, and a test set of its own or None.

    Raises:
        RunFolderError: The folder is in the data; or it is not empty and holds no check, or one
            whose list was edited.
    """
    for source in sources:
        path = expanded(source) if isinstance(source, str | os.PathLike) else None
        if path and path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise RunFolderError(
                f"{folder} is in the data ({path}), of which nothing is changed. Pass an --out "
                "that is elsewhere."
            )
    with writing(folder):
        there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    is_ours = not {CACHE, memory_of(folder / quarantine.FILE).name}.isdisjoint(there)
    if IDENTITY in there or ({*there} - {LOG} and not is_ours):
        raise RunFolderError(
            f"{folder} is not empty and holds no check (it has {', '.join(there[:3])}). Pass an "
            "--out that is empty or does not exist."
        )
    refuse_edited(folder / quarantine.FILE)


def write(result: CheckResult) -> None:
    """Write the report and the JSON record."""
    write_atomic(result.folder / RECORD, to_json(result.checked) + "\n")
    write_atomic(result.report, render(result.checked, str(result.quarantine)))


def _gated(data: Data, phase: Phase, cache: Cache, *, is_deep: bool) -> Gated:
    """Run the quick checks; to look for mirrored copies takes as long as for all others."""
    near, mirrored = _once(find_copies, "copies", cache), _once(find_mirrored, "mirrored", cache)
    run = partial(gate, data, Depth.WHOLE, phase, search=near, threads=cores())
    if is_deep or len(data.labels) <= MIRRORED_MOST:
        return run(mirrored=mirrored)
    return run().told([NO_MIRRORED])


def _look(
    source: Source,
    folder: Path,
    cache: Cache,
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
        data = look(source, folder, cache, shown)
    is_deep = deep or bool(models)
    gated = _gated(data, phase, cache, is_deep=is_deep)
    backdoors: Sequence[Backdoor] = ()
    tried: Sequence[Tried] = ()
    if is_deep:
        from tunesmith.jobs.deep.deep import look_deeper  # imports torch only if needed

        deeper = look_deeper(data, gated.alike, models, phase, cache=cache, shown=shown)
        gated, backdoors, tried = deeper.added_to(gated), deeper.backdoors, deeper.tried
    checked = Checked(
        title=source.name,
        images=len(source.names),
        classes=gated.classes,
        findings=gated.findings,
        fine=gated.fine,
        skipped=source.skipped,
        columns=source.columns,
        seconds=clock.phases,
        versions=versions(),
        tried=tried,
    )
    return CheckResult(folder=folder, checked=checked, backdoors=backdoors)


def _once(search: Search, name: str, cache: Cache) -> Search:
    """Wrap a search with a cache, keyed by the images."""

    def search_once(gray_NSS: NDArray[np.uint8], asked: Places | None) -> Places:
        def pairs() -> Any:
            return search(gray_NSS, asked).tolist()

        contents: list[NDArray[Any]] = [gray_NSS, *([] if asked is None else [asked])]
        found = cache.once(recipe(name, "opencv-python-headless"), contents, pairs)
        return np.array(found, np.int64).reshape(-1, 2)

    return search_once
